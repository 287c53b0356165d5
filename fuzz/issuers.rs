//! The laws of what issuers say of tokens.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::Value;
use tokenshim::{
    config::{Introspection, Upstream},
    verify::{
        Admin, Identity, Verdict,
        introspect::{Credentials, Endpoint},
        whoami as homeserver,
    },
};

/// A homeserver's word on a token: no 401 of ours without its own.
pub(crate) fn whoami(text: &[u8]) {
    let Some((status, kind, body)) = issuers_answer(text) else {
        return;
    };
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let errcode = said["errcode"].as_str();
    if let Ok(admin) = homeserver::interpret_admin(status, kind, body) {
        assert!(is_json(kind), "believed without a kind");
        let is_said = status == 200 && said["admin"] == true;
        assert_eq!(admin == Admin::Yes, is_said);
    }
    let Ok(answer) = homeserver::interpret(status, kind, body) else {
        return;
    };
    assert!(is_json(kind), "believed without a kind");
    assert_eq!(answer.valid_for, None);
    match answer.verdict {
        Verdict::Valid(identity) => {
            assert_eq!(status, 200);
            assert_eq!(identity.user.as_deref(), said["user_id"].as_str());
            assert!(
                identity
                    .user
                    .as_ref()
                    .is_some_and(|user| user.starts_with('@'))
            );
            assert_eq!(identity.is_guest, said["is_guest"] == true);
            assert_fit(&identity);
        }
        Verdict::Unknown { soft_logout } => {
            assert_eq!((status.as_u16(), errcode), (401, Some("M_UNKNOWN_TOKEN")));
            assert_eq!(soft_logout, said["soft_logout"] == true);
        }
        Verdict::Locked => {
            assert_eq!((status.as_u16(), errcode), (401, Some("M_USER_LOCKED")));
        }
        Verdict::Unfit => panic!("a homeserver cannot say so"),
    }
}

/// An OAuth server's word on a token: no session ends by it.
pub(crate) fn introspection(text: &[u8]) {
    const NOW: u32 = 1_800_000_000;
    let Some((status, kind, body)) = issuers_answer(text) else {
        return;
    };
    let config = Introspection {
        server: Upstream::Unix { path: "/s".into() },
        path: "/introspect".into(),
        client_id: String::new(),
        client_secret_file: "/f".into(),
        scope: vec!["b".into()],
        server_name: Some("hs.example".into()),
    };
    let credentials = Credentials::new("", "").unwrap();
    let endpoint = Endpoint::new(&config, credentials).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.into());
    let Ok(answer) = endpoint.interpret(status, kind, body, now) else {
        return;
    };
    assert!(status == 200 && is_json(kind), "believed without a kind");
    let said: Value = serde_json::from_slice(body).unwrap();
    let is_over = said["exp"]
        .as_f64()
        .is_some_and(|exp| exp <= f64::from(NOW))
        || said["expires_in"].as_f64().is_some_and(|left| left <= 0.0)
        || said["token_type"]
            .as_str()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("refresh_token"));
    match answer.verdict {
        Verdict::Unknown { soft_logout } => {
            assert!(soft_logout, "a session ended");
            assert!(said["active"] == false || is_over, "without a reason");
        }
        Verdict::Valid(identity) => {
            assert_eq!(said["active"], true);
            let scope = said["scope"].as_str().unwrap();
            assert!(scope.split(' ').any(|one| one == "b"), "not for here");
            let user = identity.user.as_deref().unwrap();
            match said["username"].as_str() {
                Some(name) => assert_eq!(user, format!("@{name}:hs.example")),
                None => assert_eq!(Some(user), said["sub"].as_str()),
            }
            assert_fit(&identity);
        }
        Verdict::Unfit => assert_eq!(said["active"], true),
        Verdict::Locked => panic!("an OAuth server cannot say so"),
    }
}

type Parts<'t> = (StatusCode, Option<&'t [u8]>, &'t [u8]);

/// Three lines: a status, what the body is said to be, and the body.
fn issuers_answer(text: &[u8]) -> Option<Parts<'_>> {
    let mut lines = text.splitn(3, |byte| *byte == b'\n');
    let status = StatusCode::from_bytes(lines.next()?).ok()?;
    let kind = lines.next().filter(|kind| !kind.is_empty());
    Some((status, kind, lines.next()?))
}

fn is_json(kind: Option<&[u8]>) -> bool {
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(b"application/json"))
}

/// Whatever is told of somebody goes into a field without breaking it.
fn assert_fit(identity: &Identity) {
    for text in [&identity.user, &identity.device, &identity.scope]
        .into_iter()
        .flatten()
    {
        assert!(!text.is_empty() && text.trim() == text, "{text:?}");
        assert!(
            text.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{text:?}"
        );
    }
}
