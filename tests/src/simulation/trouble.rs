//! What goes wrong, done to a stage.

use anyhow::Result;
use futures::future::join_all;
use rookery_protocol::io::simulation::{Network, Spot, Weather};
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::{
    after,
    schedule::{Fault, Place, Strike},
    spot_of_device, spot_of_home,
    stage::Stage,
};

/// How everything is that makes ways bad at present.
#[derive(Debug, Default)]
pub(super) struct Sky {
    next: u64,
    clouds: Vec<Cloud>,
}

#[derive(Debug, Clone, Copy)]
struct Cloud {
    number: u64,
    from: Spot,
    to: Spot,
    weather: Weather,
}

impl Sky {
    /// Makes the way from `from` to `to` so bad; gives the number by which that ends.
    fn cover(&mut self, network: &Network, from: Spot, to: Spot, weather: Weather) -> u64 {
        self.next = self.next.saturating_add(1);
        self.clouds.push(Cloud { number: self.next, from, to, weather });
        self.settle(network, from, to);
        self.next
    }

    /// Ends what had that number.
    fn clear(&mut self, network: &Network, number: u64) {
        let gone = self.clouds.iter().find(|cloud| cloud.number == number).copied();
        self.clouds.retain(|cloud| cloud.number != number);
        if let Some(Cloud { from, to, .. }) = gone {
            self.settle(network, from, to);
        }
    }

    /// A way is as bad as the worst of what makes it bad.
    fn settle(&self, network: &Network, from: Spot, to: Spot) {
        let here = self.clouds.iter().filter(|cloud| cloud.from == from && cloud.to == to);
        let worst = here.fold(Weather::FAIR, |worst, cloud| Weather {
            delay: worst.delay.max(cloud.weather.delay),
            jitter: worst.jitter.max(cloud.weather.jitter),
            loss: worst.loss.max(cloud.weather.loss),
            is_cut: worst.is_cut || cloud.weather.is_cut,
        });
        network.set(from, to, worst);
    }
}

fn spot(place: Place) -> Result<Spot> {
    match place {
        Place::Home(number) => spot_of_home(number),
        Place::Device(number) => spot_of_device(number),
    }
}

const CUT: Weather = Weather { is_cut: true, ..Weather::FAIR };

impl Stage<'_> {
    /// Lets everything go wrong that is to, and ends when nothing is wrong any more.
    pub(super) async fn strike_all(&self, strikes: &[Strike]) -> Result<()> {
        join_all(strikes.iter().map(|strike| self.strike(strike))).await.into_iter().collect()
    }

    async fn strike(&self, strike: &Strike) -> Result<()> {
        sleep_until(after(self.begun, strike.at)).await;
        self.note(|| format!("fault {:?} for {} ms", strike.fault, strike.lasts.as_millis()));
        match strike.fault {
            Fault::HomeDies(number, death) => {
                let Some(home) = self.homes.get(number) else { return Ok(()) };
                let mut home = home.lock().await;
                home.crash(&self.network, death).await?;
                sleep(strike.lasts).await;
                home.start().await?;
            }
            Fault::DeviceDies(number) => {
                let Some((device, turn)) = self.devices.get(number) else { return Ok(()) };
                let _turn = turn.lock().await;
                device.crash(&self.network)?;
                sleep(strike.lasts).await;
                device.start().await?;
            }
            Fault::Cut(one, other) => {
                self.cover(&[(one, other), (other, one)], CUT, strike.lasts).await?;
            }
            Fault::CutOneWay(one, other) => self.cover(&[(one, other)], CUT, strike.lasts).await?,
            Fault::Flaps(one, other, each_ms) => {
                let each = Duration::from_millis(each_ms);
                let end = after(Instant::now(), strike.lasts);
                while Instant::now() < end {
                    self.cover(&[(one, other), (other, one)], CUT, each).await?;
                    sleep(each).await;
                }
            }
            Fault::Slow(one, other, loss) => {
                let weather = Weather {
                    delay: Duration::from_millis(300),
                    jitter: Duration::from_millis(1_500),
                    loss,
                    is_cut: false,
                };
                self.cover(&[(one, other), (other, one)], weather, strike.lasts).await?;
            }
            Fault::Reset(one, other) => self.network.reset(spot(one)?, spot(other)?),
            Fault::Clock(number, wrong_ms) => {
                let Some(clock) = self.clocks.get(number) else { return Ok(()) };
                clock.jump(wrong_ms);
                sleep(strike.lasts).await;
                clock.jump(0);
            }
        }
        self.note(|| format!("over {:?}", strike.fault));
        Ok(())
    }

    async fn cover(
        &self,
        ways: &[(Place, Place)],
        weather: Weather,
        lasts: Duration,
    ) -> Result<()> {
        let mut clouds = vec![];
        for (from, to) in ways {
            let (from, to) = (spot(*from)?, spot(*to)?);
            clouds.push(self.sky.borrow_mut().cover(&self.network, from, to, weather));
        }
        sleep(lasts).await;
        for cloud in clouds {
            self.sky.borrow_mut().clear(&self.network, cloud);
        }
        Ok(())
    }
}
