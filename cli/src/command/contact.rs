//! `contact` and `verify`.

use std::io::{BufRead as _, IsTerminal as _};

use super::Context;
use crate::{
    agent::verb::{ContactAct, ContactChange, ContactLine, ContactList, ContactSuggest, Verify},
    args::ContactVerb,
    error::CommandError,
};

/// Asks, accepts, lists.
pub(super) async fn contact(context: &Context, verb: ContactVerb) -> Result<(), CommandError> {
    let (who, act) = match verb {
        ContactVerb::List => {
            for contact in context.ask(ContactList {}).await? {
                contact_line(context, &contact)?;
            }
            return Ok(());
        }
        ContactVerb::Suggest => {
            for line in context.ask(ContactSuggest {}).await? {
                let (communities, contacts) =
                    (line.communities.to_string(), line.contacts.to_string());
                context.line(&line, &[&line.name, &communities, &contacts])?;
            }
            return Ok(());
        }
        ContactVerb::Add { who } => (who, ContactAct::Add),
        ContactVerb::Accept { who } => (who, ContactAct::Accept),
        ContactVerb::Decline { who } => (who, ContactAct::Decline),
        ContactVerb::Block { who } => (who, ContactAct::Block),
        ContactVerb::Unblock { who } => (who, ContactAct::Unblock),
        ContactVerb::Remove { who } => (who, ContactAct::Remove),
    };
    let contact = context.ask(ContactChange { who, act }).await?;
    contact_line(context, &contact)
}

fn contact_line(context: &Context, contact: &ContactLine) -> Result<(), CommandError> {
    let trust = contact.trust.as_deref().unwrap_or("-");
    let display_name = contact.display_name.as_deref().unwrap_or("");
    context.line(contact, &[&contact.name, &contact.state, trust, display_name])
}

/// Shows the safety number, and writes down what came of comparing it.
pub(super) async fn verify(
    context: &Context,
    who: String,
    same: bool,
    different: bool,
) -> Result<(), CommandError> {
    let answer = match (same, different) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let mut line = context.ask(Verify { who: who.clone(), same: answer }).await?;
    let is_asked = answer.is_none() && !context.output.is_json() && std::io::stdin().is_terminal();
    if is_asked {
        eprintln!(
            "{}\n\nIs it the same on the other side, told in person or by voice? y, n, or Enter for later",
            line.safety_number
        );
        let mut typed = String::new();
        std::io::stdin().lock().read_line(&mut typed)?;
        let answer = match typed.trim() {
            "y" | "yes" => Some(true),
            "n" | "no" => Some(false),
            _ => None,
        };
        if answer.is_some() {
            line = context.ask(Verify { who, same: answer }).await?;
        }
    }
    context.line(&line, &[&line.name, &line.trust, &line.safety_number])
}
