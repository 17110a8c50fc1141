//! What each command does: it asks the profile's agent a verb, and writes what comes back. A file a kind of verb.

mod account;
mod agent;
mod community;
mod contact;
mod device;
mod doctor;
mod enter;
mod file;
mod keys;
mod message;
mod search;
mod watch;

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    agent::{
        Access, Need, SecretSource,
        verb::{MessageAct, Verb as AgentVerb},
    },
    args::{Arguments, Global, Verb},
    config::Place,
    error::{CommandError, Kind},
    render::{Format, Output},
    store::Secret,
};

/// What every command has.
#[derive(Debug)]
pub struct Context {
    place: Place,
    output: Output,
    global: Global,
}

/// Runs what was typed.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments { global, linear, verb } = arguments;
    let Some(verb) = verb else { return screen(&global, linear).await };
    match verb {
        Verb::Schema => return agent::schema(),
        Verb::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut crate::command(),
                "rookery",
                &mut std::io::stdout(),
            );
            return Ok(());
        }
        _ => {}
    }
    let place = Place::find(global.home.clone(), global.profile.as_deref())?;
    let output = Output::new(if global.json { Format::Json } else { Format::Text });
    let context = Context { place, output, global };
    match verb {
        Verb::Register(args) => enter::register(&context, args).await,
        Verb::Login(args) => enter::login(&context, args).await,
        Verb::Recovery { verb } => device::recovery(&context, verb).await,
        Verb::Logout => account::logout(&context).await,
        Verb::Whoami => account::whoami(&context).await,
        Verb::Status => account::status(&context).await,
        Verb::Doctor => doctor::doctor(&context).await,
        Verb::Profile { verb } => account::profile(&context, verb).await,
        Verb::Session { verb } => account::session(&context, verb).await,
        Verb::Presence { verb } => account::presence(&context, verb).await,
        Verb::Account { verb } => account::account(&context, verb).await,
        Verb::Device { verb } => device::device(&context, verb).await,
        Verb::Contact { verb } => contact::contact(&context, verb).await,
        Verb::Verify { who, same, different } => {
            contact::verify(&context, who, same, different).await
        }
        Verb::Send(args) => message::send(&context, args).await,
        Verb::File { verb } => file::file(&context, verb).await,
        Verb::Read(args) => message::read(&context, args).await,
        Verb::Search(args) => search::search(&context, args).await,
        Verb::Community { verb } => community::community(&context, verb).await,
        Verb::Member { verb } => community::member(&context, verb).await,
        Verb::Role { verb } => community::role(&context, verb).await,
        Verb::Channel { verb } => community::channel(&context, verb).await,
        Verb::Group { verb } => community::group(&context, verb).await,
        Verb::React { message, emoji, remove } => {
            let act = if remove { MessageAct::Unreact(emoji) } else { MessageAct::React(emoji) };
            message::change(&context, message, act).await
        }
        Verb::Edit { message, text } => {
            let text = message::text_of(&context, text)?;
            message::change(&context, message, MessageAct::Edit(text)).await
        }
        Verb::Delete { message, reason } => {
            message::change(&context, message, MessageAct::Delete(reason)).await
        }
        Verb::Report { message, reason } => message::report(&context, message, reason).await,
        Verb::Pin { message, remove } => {
            let act = if remove { MessageAct::Unpin } else { MessageAct::Pin };
            message::change(&context, message, act).await
        }
        Verb::Thread { message, count } => message::thread(&context, message, count).await,
        Verb::Typing { to } => message::typing(&context, to).await,
        Verb::Settings { name, value, of } => account::settings(&context, name, value, of).await,
        Verb::MarkRead { room, through } => message::mark_read(&context, room, through).await,
        Verb::MarkUnread { room, from } => message::mark_unread(&context, room, from).await,
        Verb::Rooms { unread } => message::rooms(&context, unread).await,
        Verb::Peers { trust, root } => account::peers(&context, trust.zip(root)).await,
        Verb::Tail(args) => watch::tail(&context, args).await,
        Verb::Keys { verb } => keys::keys(&context, &verb),
        Verb::Daemon => agent::daemon(&context).await,
        Verb::Lock => agent::lock(&context).await,
        Verb::Rpc => agent::rpc(&context).await,
        Verb::Schema | Verb::Completions { .. } => Ok(()),
    }
}

/// Opens the screen, or shows lines where there is none to draw on.
async fn screen(global: &Global, linear: bool) -> Result<(), CommandError> {
    let place = Place::find(global.home.clone(), global.profile.as_deref())?;
    let named = NamedPassphrase::of(global);
    let source = move |need| match (named.read()?, need) {
        (Some(passphrase), _) => Ok(Secret::Passphrase(passphrase)),
        (None, Need::First) => Ok(Secret::Found),
        (None, Need::Passphrase) => {
            Err(CommandError::new(Kind::Locked, "the store wants a passphrase"))
        }
    };
    let source = std::sync::Arc::new(source);
    if linear || !crate::tui::can_draw() {
        return crate::tui::run_linear(place, source).await;
    }
    crate::tui::run(place, source).await
}

impl Context {
    /// The profile's agent: another process, or this one.
    async fn access(&self) -> Result<Access, CommandError> {
        Access::open(self.place.clone(), self.secret_source()).await
    }

    /// Asks one verb, and ends in order.
    async fn ask<V: AgentVerb + Clone>(&self, verb: V) -> Result<V::Reply, CommandError> {
        self.watch(verb, |_| Ok(())).await
    }

    /// The same, and does something with each event meanwhile.
    async fn watch<V: AgentVerb + Clone>(
        &self,
        verb: V,
        on_event: impl FnMut(V::Event) -> Result<(), CommandError>,
    ) -> Result<V::Reply, CommandError> {
        let mut access = self.access().await?;
        let outcome = access.ask(verb, on_event).await;
        access.close().await;
        outcome
    }

    /// Writes one result.
    fn line(&self, value: &impl Serialize, fields: &[&str]) -> Result<(), CommandError> {
        Ok(self.output.line(value, fields)?)
    }

    /// Tells a person something that is no result.
    fn note(&self, text: &str) {
        if !self.global.quiet {
            eprintln!("{}", crate::render::lines(text));
        }
    }

    /// The store's secret as the command line names it; asked for only when nothing that was found opens the store.
    fn secret_source(&self) -> SecretSource {
        let named = NamedPassphrase::of(&self.global);
        let known = Mutex::new(None);
        // Read once: a pipe has it only once, and who becomes the owner after another one went needs it again.
        let read = move || -> Result<Option<Zeroizing<String>>, CommandError> {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.is_none() {
                *known = named.read()?;
            }
            Ok(known.clone())
        };
        Box::new(move |need| match (read()?, need) {
            (Some(passphrase), _) => Ok(Secret::Passphrase(passphrase)),
            (None, Need::First) => Ok(Secret::Found),
            (None, Need::Passphrase) => {
                let instead =
                    "give it by --passphrase-file, --passphrase-fd or --passphrase-command";
                match crate::args::ask_secret("Passphrase of the store", instead) {
                    Ok(passphrase) => Ok(Secret::Passphrase(passphrase)),
                    Err(error) => Err(CommandError { kind: Kind::Locked, ..error }),
                }
            }
        })
    }
}

/// Where the passphrase is, by the command line.
enum NamedPassphrase {
    None,
    File(std::path::PathBuf),
    Command(String),
}

impl NamedPassphrase {
    fn of(global: &Global) -> Self {
        match (&global.passphrase_file, global.passphrase_fd, &global.passphrase_command) {
            (Some(file), _, _) => Self::File(file.clone()),
            (_, Some(fd), _) => Self::File(format!("/dev/fd/{fd}").into()),
            (_, _, Some(command)) => Self::Command(command.clone()),
            _ => Self::None,
        }
    }

    fn read(&self) -> Result<Option<Zeroizing<String>>, CommandError> {
        match self {
            Self::None => Ok(None),
            Self::File(file) => crate::args::read_secret(file).map(Some),
            Self::Command(command) => {
                let output = std::process::Command::new("sh")
                    .arg("-c")
                    .arg(command)
                    .stderr(std::process::Stdio::inherit())
                    .output()?;
                if !output.status.success() {
                    return Err(CommandError::new(Kind::Locked, "the passphrase command failed"));
                }
                let bytes = Zeroizing::new(output.stdout);
                let text = std::str::from_utf8(&bytes).map_err(|_| {
                    CommandError::new(Kind::Locked, "the passphrase command printed no text")
                })?;
                Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())))
            }
        }
    }
}
