//! Plays seeds of the simulation.
use rookery_tests::simulation::{Size, World, play};
fn main() -> anyhow::Result<()> {
    let first: u64 = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
    let count: u64 = std::env::args().nth(2).map_or(Ok(1), |text| text.parse())?;
    let begun = std::time::Instant::now();
    let world = World::make(Size { homes: 2, devices: 3 })?;
    println!("{:?}", begun.elapsed());
    for seed in first..first + count {
        let begun = std::time::Instant::now();
        match play(&world, seed) {
            Ok(played) => {
                println!("{seed} {:?} {} {} healing {:?}", begun.elapsed(), played.faults, played.taken, played.healing);
                if count == 1 { println!("{}", played.trace.join("\n")); }
            }
            Err(error) => println!("{seed} FAILED {:?} {error:?}", begun.elapsed()),
        }
    }
    Ok(())
}
