//! What to do now, in this order: evidence, what still works, end it, stop the leak, clean
//! the files, and remember the copies.
//!
//! Commands are for copying, so whatever a log or a file's name has in them is quoted, and
//! none of them has a secret in its arguments: processes show those to everybody.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde::Serialize;

use super::{
    report::{FileRow, Life, Remedy, Totals, remedy_of, shell},
    tally::TokenView,
};

/// Files and users that a command names; there may be thousands.
const MOST: usize = 20;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What.
    pub title: String,
    /// Why, and what to take care of.
    pub text: String,
    /// How, for a shell.
    pub commands: Vec<String>,
}

/// What was found, as far as it changes what to do.
#[derive(Debug, Default)]
pub(in crate::audit) struct Found {
    /// Remedies for what is not known to be dead.
    remedies: BTreeSet<Remedy>,
    /// Users of tokens that are not known to be dead and the devices that somebody named, of
    /// homeserver and MAS.
    users: BTreeMap<String, BTreeSet<String>>,
    mas_users: BTreeMap<String, BTreeSet<String>>,
    is_checked: bool,
}

impl Found {
    pub(in crate::audit) fn note(&mut self, token: &TokenView<'_>, life: Option<&Life>) {
        self.is_checked |= life.is_some();
        if life.is_some_and(|life| life.state == "dead") {
            return;
        }
        let remedy = remedy_of(token.kind());
        self.remedies.insert(remedy);
        let users = match remedy {
            Remedy::Session => &mut self.users,
            Remedy::Mas => &mut self.mas_users,
            _ => return,
        };
        let mut add = |owner: &str| {
            let device = life.and_then(|life| life.device.as_deref());
            add(users, owner, device);
        };
        // The issuer's word is better than the token's.
        match life.and_then(|life| life.user.as_deref()) {
            Some(user) => add(user),
            None => token.users().for_each(add),
        }
    }
}

/// Keeps the first by name.
fn add(users: &mut BTreeMap<String, BTreeSet<String>>, owner: &str, device: Option<&str>) {
    let is_late =
        users.len() >= MOST && users.keys().next_back().is_some_and(|last| **last < *owner);
    if is_late {
        return;
    }
    let devices = users.entry(owner.to_owned()).or_default();
    devices.extend(device.map(str::to_owned));
    if devices.len() > MOST {
        devices.pop_last();
    }
    if users.len() > MOST {
        users.pop_last();
    }
}

/// What to do about what was found; nothing, if there is nothing.
pub(in crate::audit) fn steps(found: &Found, totals: &Totals, files: &[FileRow]) -> Vec<Step> {
    let leaking: Vec<&str> = files
        .iter()
        .filter(|file| file.lines_with_secrets > 0)
        .map(|file| file.name.as_str())
        .collect();
    if totals.tokens == 0 {
        return Vec::new();
    }
    let named = named(&leaking);
    let mut steps = vec![evidence(&named)];
    if !found.is_checked {
        steps.push(liveness(&named));
    }
    steps.extend(
        found
            .remedies
            .iter()
            .map(|remedy| end(*remedy, found, &named)),
    );
    steps.push(source());
    steps.push(clean(&leaking));
    steps.push(copies());
    steps
}

fn step(title: &str, text: impl Into<String>, commands: &[&str]) -> Step {
    Step {
        title: title.to_owned(),
        text: text.into(),
        commands: commands
            .iter()
            .map(|command| (*command).to_owned())
            .collect(),
    }
}

fn evidence(files: &str) -> Step {
    let save = format!("tokenshim audit --key KEY --format json -o evidence.json {files}");
    step(
        "Keep the evidence",
        "The report has no secret, so it can be kept and sent. Make it before anything else: asking \
         a homeserver about a token changes when and where that was last seen, and cleaned files show \
         nothing any more. Where users' data was exposed, the law may want a record and a notice \
         within days.",
        &[&save],
    )
}

fn liveness(files: &str) -> Step {
    let audit = format!("tokenshim audit --key KEY --live-set alive.ndjson {files}");
    step(
        "See which of them still work",
        "The homeserver's own database says it without using any of them, if the key is the same.",
        &[
            "psql --csv -t -c 'SELECT token, user_id, device_id FROM access_tokens' synapse \
             | tokenshim fingerprint --stdin --key KEY --format ndjson > alive.ndjson",
            &audit,
        ],
    )
}

fn end(remedy: Remedy, found: &Found, files: &str) -> Step {
    match remedy {
        Remedy::Appservice => step(
            "Give application services new tokens",
            "They never expire, and whoever has one is every user of its namespace. Put a new as_token \
             and hs_token into the registration file and into the bridge's configuration, then restart \
             both. Nothing else ends the old ones.",
            &["openssl rand -hex 32", "systemctl restart matrix-synapse"],
        ),
        Remedy::Password => step(
            "Change the passwords",
            "And end the sessions of those users: somebody may have logged in with them.",
            &[],
        ),
        Remedy::Session => log_out(found, files),
        Remedy::Mas => mas(found),
        Remedy::Tokenshim => step(
            "Take tokens of ours out of their file",
            "Make a new one, and remove the old one's line from the tokens file.",
            &["tokenshim hash-token --generate --label NAME"],
        ),
        Remedy::ClientSecret => step(
            "Give OAuth clients new secrets",
            "A client's secret is good until its issuer has another one.",
            &[],
        ),
        Remedy::ShortLived => step(
            "Let the short-lived ones end",
            "Login tokens and codes are good once, or for minutes. Those of the last minutes may \
             still work; look for sessions that nobody knows.",
            &[],
        ),
        Remedy::Other => step(
            "Change the other secrets",
            "Where they were issued, each in its own way.",
            &[],
        ),
    }
}

fn log_out(found: &Found, files: &str) -> Step {
    let revoke = format!("tokenshim audit --verify-live --homeserver URL --revoke {files}");
    let mut commands = vec![
        revoke.clone(),
        revoke.replace(" --revoke ", " --revoke --yes "),
        // The token is in a file that only root can read, in the form `Authorization: Bearer …`.
        "curl -sS -X POST -H @authorization.txt 'URL/_matrix/client/v3/logout'".to_owned(),
    ];
    for (user, devices) in &found.users {
        commands.extend(of_user(user, devices));
    }
    Step {
        title: "Log the sessions out".to_owned(),
        text: "With the token itself (the first command only shows what the second does; both ask again \
               afterwards), or as an administrator by user and device. A device takes its encryption keys \
               with it: tell its user to verify another one or to save the keys first. Refresh tokens end \
               with their device. authorization.txt and admin.txt have one line, `Authorization: Bearer …`, \
               so that no token is among the arguments of a process."
            .to_owned(),
        commands,
    }
}

/// Ends the devices of a user; those that nobody named are to be looked up.
fn of_user(user: &str, devices: &BTreeSet<String>) -> Vec<String> {
    // Tokens of Synapse have the localpart only.
    let user = if user.starts_with('@') {
        encoded(user)
    } else {
        format!("%40{}%3ASERVER", encoded(user))
    };
    let url = format!("URL/_synapse/admin/v2/users/{user}");
    let known = || serde_json::json!({ "devices": devices }).to_string();
    let (look_up, body) = if devices.is_empty() {
        let look_up = format!("curl -sS -H @admin.txt '{url}/devices'");
        (Some(look_up), "{\"devices\":[\"DEVICE\"]}".to_owned())
    } else {
        (None, known())
    };
    let end = format!(
        "curl -sS -X POST -H @admin.txt --json {} '{url}/delete_devices'",
        shell(&body)
    );
    look_up.into_iter().chain([end]).collect()
}

fn mas(found: &Found) -> Step {
    let mut commands: Vec<String> = Vec::new();
    for user in found.mas_users.keys() {
        let name = user.trim_start_matches('@');
        let name = shell(name.split_once(':').map_or(name, |(name, _)| name));
        commands.push(format!("mas-cli manage kill-sessions {name} --dry-run"));
        commands.push(format!("mas-cli manage kill-sessions {name}"));
    }
    if commands.is_empty() {
        commands.push("mas-cli manage kill-sessions USER --dry-run".to_owned());
        commands.push("mas-cli manage kill-sessions USER".to_owned());
    }
    Step {
        title: "End sessions at the authentication service".to_owned(),
        text: "Its tokens do not say whose they are; the live set does. Do not believe /oauth2/revoke: it \
               answers 200 for tokens it does not know. Personal tokens (mpt_) are ended one by one in its \
               administration API."
            .to_owned(),
        commands,
    }
}

fn source() -> Step {
    step(
        "Stop the leak",
        "Put tokenshim in front, so that no log gets a token from now on, and let the programs that log \
         already leave the query out. The clients to fix are in the table above.",
        &[
            "tokenshim emit nginx",
            "tokenshim probe http://127.0.0.1 --log /var/log/nginx/access.log",
        ],
    )
}

fn clean(files: &[&str]) -> Step {
    let names = named(files);
    let more = files.len().saturating_sub(MOST);
    let more = if more > 0 {
        format!(" {more} more files are in the report.")
    } else {
        String::new()
    };
    let command = format!("tokenshim redact --in-place {names}");
    step(
        "Clean the files",
        format!(
            "Only then: a cleaned log undoes no leak. Rotated files are replaced as a whole; one that is \
             still being written is left alone unless you say --live.{more}"
        ),
        &[&command],
    )
}

fn copies() -> Step {
    step(
        "Remember the copies that this could not reach",
        "Backups and snapshots, what log shippers have sent on (Loki, Elasticsearch, a central syslog), and \
         the journal, which cannot be rewritten: the commands drop all that is older than now.",
        &["journalctl --rotate", "journalctl --vacuum-time=1s"],
    )
}

/// Files for a command line.
fn named(files: &[&str]) -> String {
    let words: Vec<String> = files.iter().take(MOST).map(|file| shell(file)).collect();
    if words.is_empty() {
        "FILE".to_owned()
    } else {
        words.join(" ")
    }
}

/// A user id as a segment of a path: localparts in tokens are whatever somebody wrote.
fn encoded(user: &str) -> String {
    let mut path = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            // A string takes everything.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_users_and_devices_and_nothing_runs() {
        let devices = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let body = r#"{"devices":["DEVICE"]}"#;
        let cases = [
            (
                "a user id",
                "@a:h",
                devices(&[]),
                "%40a%3Ah",
                body.to_owned(),
            ),
            (
                "a localpart",
                "a",
                devices(&[]),
                "%40a%3ASERVER",
                body.to_owned(),
            ),
            (
                "hostile",
                "a'$(x)/..",
                devices(&[]),
                "%40a%27%24%28x%29%2F..%3ASERVER",
                body.to_owned(),
            ),
            (
                "named",
                "@a:h",
                devices(&["A", "B"]),
                "%40a%3Ah",
                r#"{"devices":["A","B"]}"#.to_owned(),
            ),
            (
                "a hostile name",
                "@a:h",
                devices(&["'$(x)\""]),
                "%40a%3Ah",
                r#"{"devices":["'$(x)\""]}"#.to_owned(),
            ),
        ];
        for (name, user, devices, path, body) in cases {
            let commands = of_user(user, &devices);
            assert_eq!(
                commands.len(),
                if devices.is_empty() { 2 } else { 1 },
                "case: {name}"
            );
            let last = commands
                .last()
                .unwrap()
                .replacen("curl", "printf '%s\n'", 1);
            let said = std::process::Command::new("bash")
                .args(["-c", &last])
                .output()
                .unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            let url = format!("URL/_synapse/admin/v2/users/{path}/delete_devices");
            let expected = [
                "-sS",
                "-X",
                "POST",
                "-H",
                "@admin.txt",
                "--json",
                &body,
                &url,
            ]
            .join("\n")
                + "\n";
            assert_eq!(said, expected, "case: {name}");
        }
    }
}
