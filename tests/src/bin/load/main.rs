//! Loads a real `rookeryd` over real QUIC on loopback, and prints what it costs.
//!
//! `cargo run --release -p rookery-tests --bin load -- all` gives every figure in the README. The server is a process of its own, with
//! SQLite and `synchronous=FULL`, limits off; its CPU time and memory are read from `/proc`. Readers count envelopes; they do not open them.

mod messages;
mod server;
mod sockets;
mod wall;

use std::time::Duration;

use clap::{Parser, Subcommand};

/// Loads a real homeserver on this machine and prints what it costs.
#[derive(Parser)]
struct Arguments {
    /// What to measure.
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Direct messages: stored, acknowledged, delivered, in closed loop.
    Messages {
        /// Pairs of people, each one sender and one receiver.
        #[arg(long, default_value_t = 100)]
        pairs: usize,
        /// Messages that each sender has under way.
        #[arg(long, default_value_t = 8)]
        in_flight: usize,
        /// For how many seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// New connections: handshake and authentication.
    Connections {
        /// How many.
        #[arg(long, default_value_t = 4_000)]
        count: usize,
        /// How many at a time.
        #[arg(long, default_value_t = 16)]
        at_once: usize,
    },
    /// Memory of connections that are authenticated, follow, and say nothing.
    Idle {
        /// How many.
        #[arg(long, default_value_t = 4_000)]
        count: usize,
    },
    /// Wall time of `rookery send`, with an agent running and without one.
    Send {
        /// How many times each.
        #[arg(long, default_value_t = 30)]
        times: usize,
    },
    /// All of these with their defaults.
    All,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.what {
            What::Messages { pairs, in_flight, seconds } => {
                messages::measure(pairs, in_flight, Duration::from_secs(seconds)).await
            }
            What::Connections { count, at_once } => sockets::connections(count, at_once).await,
            What::Idle { count } => sockets::idle(count).await,
            What::Send { times } => wall::measure(times),
            What::All => {
                messages::measure(100, 8, Duration::from_secs(10)).await?;
                sockets::connections(4_000, 16).await?;
                sockets::idle(4_000).await?;
                wall::measure(30)
            }
        }
    })
}
