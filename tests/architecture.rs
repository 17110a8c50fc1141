//! Who may use whom, held against the dependency graph and the sources.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::PathBuf, process::Command};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all packages under `package`, as cargo resolves them.
fn dependencies(package: &str, more: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args([
            "tree",
            "--locked",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "-e",
            "normal,build",
            "--target",
            "all",
            "-p",
            package,
        ])
        .args(more)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo tree failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut names: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// All Rust files under `folder`.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = vec![];
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    assert!(!files.is_empty(), "{folder} has no sources");
    files
}

/// The text without its comments.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path that `tree`, what stands between `use` and `;`, brings in: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn imported(tree: &str) -> Vec<String> {
    let Some((before, rest)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let group = rest.rsplit_once('}').map_or(rest, |(group, _)| group);
    let (mut members, mut depth) = (vec![String::new()], 0_u32);
    for letter in group.chars() {
        depth = match letter {
            '{' => depth.saturating_add(1),
            '}' => depth.saturating_sub(1),
            _ => depth,
        };
        if letter == ',' && depth == 0 {
            members.push(String::new());
        } else {
            members.last_mut().unwrap().push(letter);
        }
    }
    let members = members.iter().filter(|member| !member.trim().is_empty());
    members.flat_map(|member| imported(&format!("{}{}", before.trim(), member.trim()))).collect()
}

/// Every path that the code brings in by `use`.
fn imports(code: &str) -> Vec<String> {
    let starts = code.match_indices("use ").filter(|(at, _)| {
        code.get(..*at).is_none_or(|before| before.chars().last().is_none_or(char::is_whitespace))
    });
    let trees =
        starts.filter_map(|(at, word)| code.get(at..)?.strip_prefix(word)?.split(';').next());
    trees.flat_map(imported).collect()
}

/// Asserts that no file under `folder`, but for those that `except` names, says any of `words` outside comments, nor brings it in, in a
/// group or alone.
fn never_names(folder: &str, words: &[&str], except: &[&str]) {
    for (path, text) in sources(folder) {
        if except.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let code = code(&text);
        for line in code.lines().map(str::to_owned).chain(imports(&code)) {
            for word in words {
                assert!(!line.contains(word), "{} names {word}: {line}", path.display());
            }
        }
    }
}

#[test]
fn what_is_imported_in_groups_is_seen() {
    let text = "use a::{\n    b::{self, c}, // use x::y;\n    d as e,\n};\npub(crate) use f::g;\nfn reuse () {}";
    assert_eq!(imports(&code(text)), ["a::b::self", "a::b::c", "a::d as e", "f::g"]);
}

#[test]
fn the_homeserver_has_nothing_that_decrypts() {
    let found = dependencies("rookery-homeserver", &["--all-features"]);
    assert!(found.iter().any(|name| name == "quinn"), "the tree was not read: {found:?}");
    for name in [
        "aead",
        "cipher",
        "chacha20poly1305",
        "x25519-dalek",
        "hpke",
        "vodozemac",
        "rookery-primitives",
        "rookery-cli",
    ] {
        assert!(!found.iter().any(|found| found == name), "the homeserver depends on {name}");
    }
}

#[test]
fn the_homeserver_never_reaches_for_the_ciphers_of_its_tls() {
    never_names("homeserver/src", &["aws_lc_rs::aead", "aws_lc_rs::cipher"], &[]);
    never_names("protocol/src", &["aws_lc_rs::aead", "aws_lc_rs::cipher"], &[]);
}

#[test]
fn the_protocol_is_pure_without_its_io() {
    let found = dependencies("rookery-protocol", &["--no-default-features"]);
    assert!(found.iter().any(|name| name == "minicbor"), "the tree was not read: {found:?}");
    for name in ["tokio", "quinn", "rustls", "rand", "getrandom"] {
        assert!(!found.iter().any(|found| found == name), "protocol without io depends on {name}");
    }
}

#[test]
fn no_program_enters_a_simulated_network() {
    never_names("homeserver/src", &["io::simulation"], &[]);
    never_names("cli/src", &["Network::new"], &[]);
    // What is built for people is built without the tests, which alone ask for it.
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let built = workspace.lines().find(|line| line.starts_with("default-members =")).unwrap();
    assert!(!built.contains("tests"), "{built}");
    for package in ["homeserver", "cli", "protocol"] {
        let manifest = std::fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let by_default = manifest.lines().find(|line| line.starts_with("default ="));
        assert!(!by_default.unwrap_or_default().contains("simulation"), "{package}");
    }
}

#[test]
fn quinn_is_named_in_one_module() {
    let module =
        ["io/quic.rs", "quic/dial.rs", "quic/listen.rs", "quic/reason.rs", "quic/runtime.rs"];
    never_names("protocol/src", &["quinn"], &module);
    never_names("homeserver/src", &["quinn"], &[]);
    never_names("cli/src", &["quinn"], &[]);
}

#[test]
fn each_layer_of_the_homeserver_knows_the_one_below_only() {
    never_names("homeserver/src/transport", &["sqlx", "crate::repository::sql"], &[]);
    never_names("homeserver/src/service", &["sqlx", "crate::transport"], &[]);
    never_names(
        "homeserver/src/repository",
        &["crate::service", "crate::transport", "rookery_protocol::io"],
        &[],
    );
}

#[test]
fn sealing_is_pure_and_the_ratchet_library_is_its_own() {
    never_names("cli/src/e2ee", &["tokio", "sqlx", "ratatui"], &[]);
    let outside = sources("cli/src")
        .into_iter()
        .filter(|(path, _)| !path.components().any(|part| part.as_os_str() == "e2ee"));
    for (path, text) in outside {
        let named = text
            .lines()
            .any(|line| line.split("//").next().unwrap_or_default().contains("vodozemac"));
        assert!(!named, "{} names vodozemac", path.display());
    }
    never_names("cli/src/command", &["sqlx", "rookery_protocol::io"], &[]);
}

#[test]
fn each_layer_of_the_client_knows_those_below_only() {
    let above = ["crate::tui", "crate::command", "crate::agent", "crate::engine", "crate::store"];
    never_names("cli/src/e2ee", &above, &[]);
    never_names("cli/src/store", &above[..4], &[]);
    never_names("cli/src/search", &above, &[]);
    never_names("cli/src/engine", &above[..2], &[]);
    never_names("cli/src/agent", &above[..2], &[]);
    never_names("cli/src/tui", &["sqlx", "crate::command"], &[]);
}
