//! Holds the committed manuals against what the programs say of themselves.
//!
//! `ROOKERY_WRITE_MAN=1 cargo test -p rookery-tests --test man` writes them anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fmt::Write as _, io::Write as _, path::PathBuf};

use clap::Command;
use clap_mangen::Man;
use rookery_homeserver::config::KEYS;

fn committed(name: &str, written: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../man").join(name);
    if std::env::var_os("ROOKERY_WRITE_MAN").is_some() {
        std::fs::write(&path, written).unwrap();
    }
    let stands = std::fs::read(&path).unwrap_or_default();
    assert!(
        stands == written,
        "man/{name} is not what the program says: write it anew with ROOKERY_WRITE_MAN=1"
    );
}

/// One page for a program: what `--help` says, and then every verb with its synopsis, its words and its options.
fn page(command: Command, section: &str) -> Vec<u8> {
    let mut command = command.disable_help_subcommand(true).version("");
    command.build();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    let man = Man::new(command.clone()).section(section).manual("rookery").date("").source("");
    man.render_title(&mut text).unwrap();
    man.render_name_section(&mut text).unwrap();
    man.render_synopsis_section(&mut text).unwrap();
    man.render_description_section(&mut text).unwrap();
    man.render_options_section(&mut text).unwrap();
    verbs(&command, &name, &mut text);
    if man_has_more(&command) {
        man.render_extra_section(&mut text).unwrap();
    }
    text
}

fn man_has_more(command: &Command) -> bool {
    command.get_after_help().is_some() || command.get_after_long_help().is_some()
}

/// Appends every visible verb under `command`, the deepest by their whole names.
fn verbs(command: &Command, path: &str, text: &mut Vec<u8>) {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let path = format!("{path} {}", verb.get_name());
        if verb.has_subcommands() {
            verbs(verb, &path, text);
            continue;
        }
        writeln!(text, ".SH \"{}\"", path.to_uppercase()).unwrap();
        let man = Man::new(verb.clone().bin_name(path));
        let mut body = Vec::new();
        man.render_synopsis_section(&mut body).unwrap();
        man.render_description_section(&mut body).unwrap();
        if verb.get_arguments().any(|argument| !argument.is_hide_set()) {
            man.render_options_section(&mut body).unwrap();
        }
        // What are sections of a page are parts of one here.
        text.extend(String::from_utf8(body).unwrap().replace(".SH ", ".SS ").into_bytes());
    }
}

/// Text that troff takes as it is.
fn escape(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

fn settings() -> String {
    let mut text = String::from(
        ".TH rookeryd.toml 5 \"\" \"\" rookery\n.SH NAME\nrookeryd.toml \\- settings of the homeserver\n.SH DESCRIPTION\n\
         The file is optional: every setting has a default. It is TOML, read from the place that \\fB\\-\\-config\\fR names, or from\n\
         \\fIrookeryd.toml\\fR in the data directory. An unknown key is an error. A flag wins over the environment, the environment over the\n\
         file, the file over the default; \\fBrookeryd config explain\\fR \\fIKEY\\fR says which won.\n.SH SETTINGS\n",
    );
    for key in KEYS {
        let default = if key.default.is_empty() {
            "none".to_owned()
        } else {
            format!("\\fB{}\\fR", escape(key.default))
        };
        write!(
            text,
            ".TP\n\\fB{}\\fR\n{}\nDefault: {default}. Environment: \\fB{}\\fR.\n",
            escape(key.name),
            escape(key.doc),
            escape(&key.environment())
        )
        .unwrap();
    }
    text.push_str(".SH SEE ALSO\nrookeryd(8)\n");
    text
}

#[test]
fn the_client_s_manual_is_what_it_says() {
    committed("rookery.1", &page(rookery_cli::command(), "1"));
}

#[test]
fn the_homeserver_s_manual_is_what_it_says() {
    committed("rookeryd.8", &page(rookery_homeserver::args::command(), "8"));
}

#[test]
fn the_settings_manual_names_every_setting() {
    committed("rookeryd.toml.5", settings().as_bytes());
}
