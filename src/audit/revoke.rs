//! Logs living tokens out, and believes only the homeserver's own word that they are gone.
//!
//! `POST /_matrix/client/v3/logout` with the token itself ends its session, and needs no
//! administrator. The device goes with it, and what only that device could decrypt. What
//! an order was answered proves nothing: some servers say 200 of tokens that they do not
//! know. So each token is asked about again afterwards, and only `401 M_UNKNOWN_TOKEN`
//! counts. No order is given twice.

use jiff::Timestamp;

use super::{
    live_set::{Known, Live, LiveSet, Revocation, State, kind_of},
    registration::{Registered, Registrations},
    sighting::TokenId,
    verify_live::{Asker, Held, Said},
};
use crate::secret::AccessToken;

/// Whether anything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Only said.
    Plan,
    /// Done.
    Act,
}

/// Looks at each living token of `set`, and logs it out if that is to be done and can be.
pub(super) async fn run(
    mode: Mode,
    asker: &mut Asker<'_>,
    held: &Held,
    registrations: &Registrations,
    set: &mut LiveSet,
) {
    announce(mode, asker, set.count(State::Alive));
    for id in held.ids() {
        let Some(token) = held.get(id) else { continue };
        let live = set.of(id, "");
        if live.state != State::Alive {
            continue;
        }
        let whose = whose(id, &live);
        let kind = kind_of(token.expose().as_bytes());
        let obstacle = obstacle(kind, &live, registrations.find(id));
        let known = match (obstacle, mode) {
            (Some(instead), _) => {
                asker.say(&format!("{whose}: cannot be logged out: {instead}"));
                outcome(&live, Revocation::NotThisWay, State::Alive, Some(instead))
            }
            (None, Mode::Plan) => {
                asker.say(&format!("{whose}: would be logged out"));
                outcome(&live, Revocation::Planned, State::Alive, None)
            }
            (None, Mode::Act) => match asker.next().await {
                Err(why) => {
                    let why = why.replace("not asked", "not logged out");
                    asker.say(&format!("{whose}: {why}"));
                    outcome(&live, Revocation::Planned, State::Alive, Some(why))
                }
                Ok(()) => log_out(asker, &token, &whose, &live).await,
            },
        };
        set.insert(id, known);
    }
    conclude(mode, asker, set);
}

async fn log_out(
    asker: &mut Asker<'_>,
    token: &AccessToken<'_>,
    whose: &str,
    live: &Live<'_>,
) -> Known {
    // Before it is done: whoever stops us finds in the log what may have been done.
    asker.say(&format!("{:.0} {whose}: logs out", Timestamp::now()));
    let answer = match asker.logout(token).await {
        Ok(status) => format!("logout was answered {}", status.as_u16()),
        Err(why) => format!("logout: the homeserver {why}"),
    };
    let (end, state, reason) = match asker.whoami(token).await {
        Said::Dead { soft_logout: false } => (Revocation::Revoked, State::Dead, None),
        Said::Dead { soft_logout: true } => (
            Revocation::Unknown,
            State::Dead,
            Some(format!(
                "{answer}; the token has expired, and its session may live on"
            )),
        ),
        Said::Alive { .. } => (
            Revocation::StillAlive,
            State::Alive,
            Some(format!(
                "{answer}, and the token still works; behind MAS a homeserver may go on for two \
                 minutes: check again then"
            )),
        ),
        Said::Unknown(why) => (
            Revocation::Unknown,
            State::Unknown,
            Some(format!("{answer}; afterwards {why}")),
        ),
    };
    let told = reason.as_deref().unwrap_or("whoami: M_UNKNOWN_TOKEN");
    asker.say(&format!(
        "{:.0} {whose}: {}: {told}",
        Timestamp::now(),
        end.name()
    ));
    outcome(live, end, state, reason)
}

/// What is known of a token now.
fn outcome(live: &Live<'_>, end: Revocation, state: State, reason: Option<String>) -> Known {
    Known {
        user: live.user.map(Into::into),
        device: live.device.map(Into::into),
        reason: reason.map(Into::into),
        revocation: Some(end),
        ..Known::now(state)
    }
}

/// Why a token cannot be ended by logging it out, and what ends it.
fn obstacle(kind: &str, live: &Live<'_>, registered: Option<&Registered>) -> Option<String> {
    if let Some(registered) = registered {
        return Some(registered.advice());
    }
    let instead = match kind {
        "mas_access" => {
            "MAS issued it for OAuth: finish the session by MAS's admin API \
             (oauth2-sessions/ID/finish), or `mas-cli manage kill-sessions USER`"
        }
        "mas_personal" => {
            "MAS issued it as a personal token: revoke it by MAS's admin API (personal-sessions/ID/revoke)"
        }
        // Of a locked user we hear neither; he may log out all the same.
        "access_token" if live.device.is_none() && live.user.is_some() => {
            "it has no device, so it is an application service's, or made by the admin API: \
             give --registration, or write new tokens into the registration"
        }
        _ => return None,
    };
    Some(instead.to_owned())
}

fn whose(id: TokenId, live: &Live<'_>) -> String {
    let user = live.user.unwrap_or("user unknown");
    match live.device {
        Some(device) => format!("{id} of {user}, device {device}"),
        None => format!("{id} of {user}, without a device"),
    }
}

fn announce(mode: Mode, asker: &mut Asker<'_>, count: usize) {
    if count == 0 {
        return asker.say("no living token, nothing to log out");
    }
    asker.say(
        "logging out ends the session and its device: the device's encryption keys go with it, and \
         whoever has no other device and no key backup loses encrypted history",
    );
    if mode == Mode::Plan {
        asker.say("this is a plan, nothing is done: add --yes to do it");
    }
}

fn conclude(mode: Mode, asker: &mut Asker<'_>, set: &LiveSet) {
    let count = |end| set.count_revocations(end);
    let line = match mode {
        Mode::Plan => format!(
            "{} would be logged out, {} cannot be that way",
            count(Revocation::Planned),
            count(Revocation::NotThisWay)
        ),
        Mode::Act => format!(
            "{} revoked, {} still alive, {} unknown, {} not done, {} cannot be that way",
            count(Revocation::Revoked),
            count(Revocation::StillAlive),
            count(Revocation::Unknown),
            count(Revocation::Planned),
            count(Revocation::NotThisWay)
        ),
    };
    asker.say(&line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::registration::Which;

    #[test]
    fn knows_what_cannot_be_logged_out() {
        let registered = Registered {
            which: Which::As,
            service: "bridge".into(),
            sender: None,
            file: "bridge.yaml".into(),
        };
        let bridge = Some(&registered);
        let (user, device) = (Some("@alice:hs"), Some("D"));
        let cases = [
            ("Synapse's", "synapse_access", user, device, None, None),
            ("its admin API's", "synapse_access", user, None, None, None),
            (
                "MAS for old clients",
                "mas_compat_access",
                user,
                device,
                None,
                None,
            ),
            ("another server's", "access_token", user, device, None, None),
            ("a locked user's", "access_token", None, None, None, None),
            (
                "no device",
                "access_token",
                user,
                None,
                None,
                Some("--registration"),
            ),
            (
                "MAS",
                "mas_access",
                user,
                device,
                None,
                Some("kill-sessions"),
            ),
            (
                "MAS, personal",
                "mas_personal",
                user,
                device,
                None,
                Some("admin API"),
            ),
            (
                "a bridge's",
                "access_token",
                user,
                None,
                bridge,
                Some("bridge.yaml"),
            ),
            (
                "in any shape",
                "synapse_access",
                user,
                device,
                bridge,
                Some("restart"),
            ),
        ];
        for (name, kind, user, device, registered, expected) in cases {
            let live = Live {
                state: State::Alive,
                user,
                device,
                reason: None,
                revocation: None,
                checked_at: Timestamp::UNIX_EPOCH,
                checked_by: "",
            };
            let obstacle = obstacle(kind, &live, registered);
            assert_eq!(obstacle.is_some(), expected.is_some(), "case: {name}");
            let is_told = expected.is_none_or(|text| obstacle.unwrap().contains(text));
            assert!(is_told, "case: {name}");
        }
    }
}
