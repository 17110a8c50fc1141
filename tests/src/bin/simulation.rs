//! Plays seeds of the simulation.
fn main() -> anyhow::Result<()> {
    let begun = std::time::Instant::now();
    let world = rookery_tests::simulation::World::make(rookery_tests::simulation::Size { homes: 2, devices: 3 })?;
    println!("{:?} {}", begun.elapsed(), format!("{world:?}").len());
    Ok(())
}
