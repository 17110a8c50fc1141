//! Loads a real `rookeryd` over real QUIC on loopback, and prints what it costs.
//!
//! `cargo run --release -p rookery-tests --bin load -- all` gives every figure in the README. The server is a process of its own, with
//! SQLite and `synchronous=FULL`, limits off; its CPU time and memory are read from `/proc`. Readers count envelopes; they do not open them.

mod catch_up;
mod crowd;
mod fallback;
mod fanout;
mod federation;
mod join;
mod messages;
mod server;
mod sockets;
mod trouble;
mod tui;
mod wall;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

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
    /// Time to a working connection where no UDP comes through.
    Fallback {
        /// How often.
        #[arg(long, default_value_t = 20)]
        times: usize,
    },
    /// One channel with many readers: deliveries a second, and what one costs.
    Fanout {
        /// Who is in it and for how long.
        #[command(flatten)]
        size: CrowdSize,
    },
    /// The same while one reader in a hundred does not read.
    Stopped {
        /// Who is in it and for how long each.
        #[command(flatten)]
        size: CrowdSize,
    },
    /// Two homeservers: direct messages from one to the other, and a channel whose readers are all on the other.
    Federation {
        /// Pairs of people who write to each other, one on each server.
        #[arg(long, default_value_t = 50)]
        pairs: usize,
        /// How many messages a second these write.
        #[arg(long, default_value_t = 500)]
        rate: u32,
        /// Readers of the channel.
        #[arg(long, default_value_t = 500)]
        members: usize,
        /// For how many seconds each.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Two homeservers that are cut off from each other while people write, and come together again.
    Healing(Conversation),
    /// Two homeservers with a third that is dead, beside two whose third is alive.
    DeadPeer(Conversation),
    /// Newcomers to a large community on another homeserver.
    Join {
        /// How many belong to it.
        #[arg(long, default_value_t = 10_000)]
        members: usize,
        /// How often somebody comes, each time from another homeserver that has nothing of it.
        #[arg(long, default_value_t = 3)]
        times: usize,
        /// The round trip between the two homeservers, in milliseconds.
        #[arg(long, default_value_t = 100)]
        round_trip: u64,
    },
    /// A client that comes back to a channel, and one that checks a long log.
    CatchUp {
        /// Messages that were posted meanwhile.
        #[arg(long, default_value_t = 10_000)]
        messages: usize,
        /// Statements of the log.
        #[arg(long, default_value_t = 10_000)]
        statements: usize,
    },
    /// Wall time of `rookery send`, with an agent running and without one.
    Send {
        /// How many times each.
        #[arg(long, default_value_t = 30)]
        times: usize,
    },
    /// The terminal client in a pseudo-terminal, with a large store: starts, keys, memory, idling.
    Tui(Screen),
    /// All of these with their defaults.
    All,
}

/// A profile that has been in use for years, and what is done on its screen.
#[derive(Args)]
struct Screen {
    /// Messages in the store, in 300 rooms.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// Keep the server and the profiles in this directory, and use what is there.
    #[arg(long)]
    store: Option<PathBuf>,
    /// How often it is started.
    #[arg(long, default_value_t = 20)]
    starts: usize,
    /// Keys that are pressed one at a time.
    #[arg(long, default_value_t = 300)]
    keys: usize,
    /// Messages that come in while keys are pressed.
    #[arg(long, default_value_t = 10_000)]
    flood: usize,
    /// For how many seconds it is left alone.
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// Messages that are paged through.
    #[arg(long, default_value_t = 100_000)]
    paged: u64,
}

impl From<Screen> for tui::Plan {
    fn from(screen: Screen) -> Self {
        let Screen { messages, store, starts, keys, flood, idle, paged } = screen;
        let idle = Duration::from_secs(idle);
        Self { messages, directory: store, starts, keys, flood, idle, paged }
    }
}

/// Direct messages from the people of one server to those of another.
#[derive(Args)]
struct Conversation {
    /// Pairs of people who write to each other.
    #[arg(long, default_value_t = 50)]
    pairs: usize,
    /// How many messages a second these write.
    #[arg(long, default_value_t = 250)]
    rate: u32,
    /// For how many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

impl From<Conversation> for trouble::Talk {
    fn from(conversation: Conversation) -> Self {
        let Conversation { pairs, rate, seconds } = conversation;
        Self { pairs, rate, time: Duration::from_secs(seconds) }
    }
}

/// One channel, its readers and who posts.
#[derive(Args)]
struct CrowdSize {
    /// Members, each with one device that follows.
    #[arg(long, default_value_t = 1_000)]
    members: usize,
    /// Members who post.
    #[arg(long, default_value_t = 4)]
    senders: usize,
    /// Posts that each of them has under way.
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// For how many seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl From<CrowdSize> for fanout::Size {
    fn from(size: CrowdSize) -> Self {
        let CrowdSize { members, senders, in_flight, seconds } = size;
        Self { members, senders, in_flight, time: Duration::from_secs(seconds) }
    }
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
            What::Fallback { times } => fallback::measure(times).await,
            What::Fanout { size } => fanout::measure(size.into()).await,
            What::Federation { pairs, rate, members, seconds } => {
                let time = Duration::from_secs(seconds);
                federation::direct(pairs, rate, time).await?;
                federation::channel(members, time).await
            }
            What::Healing(conversation) => trouble::healing(conversation.into()).await,
            What::DeadPeer(conversation) => trouble::dead_peer(conversation.into()).await,
            What::Join { members, times, round_trip } => {
                let round_trip = Duration::from_millis(round_trip);
                Box::pin(join::measure(join::Plan { members, times, round_trip })).await
            }
            What::Stopped { size } => fanout::stopped(size.into()).await,
            What::CatchUp { messages, statements } => {
                catch_up::channel(messages).await?;
                catch_up::log(statements).await
            }
            What::Send { times } => wall::measure(times),
            What::Tui(screen) => Box::pin(tui::measure(screen.into())).await,
            What::All => {
                let size = |seconds| fanout::Size {
                    members: 1_000,
                    senders: 4,
                    in_flight: 8,
                    time: Duration::from_secs(seconds),
                };
                messages::measure(100, 8, Duration::from_secs(10)).await?;
                sockets::connections(4_000, 16).await?;
                sockets::idle(4_000).await?;
                fallback::measure(20).await?;
                fanout::measure(size(10)).await?;
                fanout::stopped(size(60)).await?;
                federation::direct(50, 500, Duration::from_secs(10)).await?;
                federation::channel(500, Duration::from_secs(10)).await?;
                let talk = |seconds| trouble::Talk {
                    pairs: 50,
                    rate: 250,
                    time: Duration::from_secs(seconds),
                };
                trouble::healing(talk(60)).await?;
                trouble::dead_peer(talk(60)).await?;
                Box::pin(join::measure(join::Plan::default())).await?;
                catch_up::channel(10_000).await?;
                catch_up::log(10_000).await?;
                wall::measure(30)?;
                Box::pin(tui::measure(tui::Plan::default())).await
            }
        }
    })
}
