//! The toy homeserver's mind: sessions, rooms and media in memory.
//!
//! Enough of the client-server API for a client to log in and talk; every shape
//! and every error is the specification's. Any password is right, and whoever
//! comes first is the admin.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{
    call::{self, Call, Error, Reply},
    session::Token,
};

/// Its name; users are `@name:localhost`.
const SERVER: &str = "localhost";

/// The room that everybody is in.
pub(super) const LOBBY: &str = "!lobby:localhost";

/// The longest that a `/sync` waits, whatever the client asks for.
const LONGEST_POLL: Duration = Duration::from_secs(5);

/// A logged-in device.
#[derive(Clone)]
struct Session {
    user: String,
    device: String,
}

/// Everything it knows.
pub(super) struct Matrix {
    sessions: HashMap<String, Session>,
    /// In the order of their first login.
    users: Vec<String>,
    rooms: BTreeMap<String, BTreeSet<String>>,
    /// Every room's events in one order, each with its room.
    events: Vec<(String, Value)>,
    /// Event ids by token, room and transaction id.
    sent: HashMap<(String, String, String), String>,
    media: HashMap<String, (String, Bytes)>,
}

impl Default for Matrix {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            users: Vec::new(),
            rooms: BTreeMap::from([(LOBBY.to_owned(), BTreeSet::new())]),
            events: Vec::new(),
            sent: HashMap::new(),
            media: HashMap::new(),
        }
    }
}

impl Matrix {
    /// How many events there are.
    pub(super) fn length(&self) -> usize {
        self.events.len()
    }

    /// Answers a request; `may_wait` for a long poll.
    pub(super) fn answer(&mut self, call: &Call, may_wait: bool) -> Reply {
        if call.method == "OPTIONS" {
            return Reply::ok(json!({}));
        }
        self.route(call, may_wait).unwrap_or_else(Reply::from)
    }

    fn route(&mut self, call: &Call, may_wait: bool) -> Result<Reply, Error> {
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        match (call.method.as_str(), path.as_slice()) {
            ("GET", ["_matrix", "client", "versions"]) => Ok(Reply::ok(
                json!({ "versions": ["r0.6.1", "v1.1", "v1.11", "v1.20"] }),
            )),
            (method, ["_matrix", "client", "r0" | "v3", rest @ ..]) => match (method, rest) {
                ("GET", ["login"]) => Ok(Reply::ok(
                    json!({ "flows": [{ "type": "m.login.password" }] }),
                )),
                ("POST", ["login"]) => self.log_in(call),
                (_, rest) => {
                    let session = self.session(call)?;
                    self.client(call, &session, rest, may_wait)
                }
            },
            ("POST", ["_matrix", "media", "r0" | "v3", "upload"]) => {
                self.session(call)?;
                Ok(self.upload(call))
            }
            (
                "GET",
                [
                    "_matrix",
                    "client",
                    "v1",
                    "media",
                    "download",
                    SERVER,
                    id,
                    ..,
                ],
            ) => {
                self.session(call)?;
                self.download(id)
            }
            // Open to everybody until v1.11; links in old messages still point here.
            ("GET", ["_matrix", "media", "r0" | "v3", "download", SERVER, id, ..]) => {
                self.download(id)
            }
            ("GET", ["_synapse", "admin", "v2", "users"]) => {
                let session = self.session(call)?;
                self.list_users(&session)
            }
            _ => Err(call::UNRECOGNIZED),
        }
    }

    /// What is under `/_matrix/client/v3` for somebody who is logged in.
    fn client(
        &mut self,
        call: &Call,
        session: &Session,
        path: &[&str],
        may_wait: bool,
    ) -> Result<Reply, Error> {
        match (call.method.as_str(), path) {
            ("GET", ["account", "whoami"]) => Ok(Reply::ok(json!({
                "user_id": session.user, "device_id": session.device, "is_guest": false,
            }))),
            ("POST", ["logout"]) => {
                self.sessions
                    .retain(|token, _| call.token.as_ref() != Some(token));
                Ok(Reply::ok(json!({})))
            }
            ("GET", ["sync"]) => Ok(self.sync(call, session, may_wait)),
            ("POST", ["createRoom"]) => {
                let room = format!("!room{}:{SERVER}", self.rooms.len());
                self.rooms.insert(room.clone(), BTreeSet::new());
                self.join(&room, &session.user)
            }
            ("POST", ["join", room] | ["rooms", room, "join"]) => self.join(room, &session.user),
            ("PUT", ["rooms", room, "send", kind, transaction]) => {
                self.require_member(room, session)?;
                self.send(call, session, room, (kind, transaction))
            }
            ("GET", ["rooms", room, "messages"]) => {
                self.require_member(room, session)?;
                Ok(self.messages(room))
            }
            _ => Err(call::UNRECOGNIZED),
        }
    }

    fn session(&self, call: &Call) -> Result<Session, Error> {
        let token = call.token.as_ref().ok_or(call::MISSING_TOKEN)?;
        self.sessions.get(token).cloned().ok_or(call::UNKNOWN_TOKEN)
    }

    fn log_in(&mut self, call: &Call) -> Result<Reply, Error> {
        let form = call.json()?;
        let text = |place| form.pointer(place).and_then(Value::as_str);
        let name = text("/identifier/user")
            .or(text("/user"))
            .filter(|_| text("/type") == Some("m.login.password"))
            .ok_or(call::NO_USER)?;
        let name = name.strip_prefix('@').unwrap_or(name);
        let name = name.split(':').next().unwrap_or(name);
        let user = format!("@{name}:{SERVER}");
        let token = Token::mint(name).map_err(|_| call::NO_RANDOMNESS)?;
        let device = text("/device_id")
            .map_or_else(|| format!("DEMO{}", self.sessions.len()), str::to_owned);
        if !self.users.contains(&user) {
            self.users.push(user.clone());
            self.join(LOBBY, &user)?;
        }
        let session = Session {
            user: user.clone(),
            device: device.clone(),
        };
        self.sessions.insert(token.expose().to_owned(), session);
        Ok(Reply::ok(json!({
            "user_id": user, "access_token": token.expose(), "device_id": device,
        })))
    }

    fn join(&mut self, room: &str, user: &str) -> Result<Reply, Error> {
        let members = self.rooms.get_mut(room).ok_or(call::NOT_FOUND)?;
        if members.insert(user.to_owned()) {
            let content = json!({ "membership": "join" });
            self.append(room, user, "m.room.member", &content, Some(user));
        }
        Ok(Reply::ok(json!({ "room_id": room })))
    }

    fn require_member(&self, room: &str, session: &Session) -> Result<(), Error> {
        let members = self.rooms.get(room).ok_or(call::NOT_IN_ROOM)?;
        if members.contains(&session.user) {
            Ok(())
        } else {
            Err(call::NOT_IN_ROOM)
        }
    }

    fn send(
        &mut self,
        call: &Call,
        session: &Session,
        room: &str,
        (kind, transaction): (&str, &str),
    ) -> Result<Reply, Error> {
        let content = call.json()?;
        let token = call.token.clone().unwrap_or_default();
        let key = (token, room.to_owned(), transaction.to_owned());
        // A client that got no answer sends again; that is one message.
        let id = match self.sent.get(&key) {
            Some(id) => id.clone(),
            None => self.append(room, &session.user, kind, &content, None),
        };
        self.sent.insert(key, id.clone());
        Ok(Reply::ok(json!({ "event_id": id })))
    }

    fn append(
        &mut self,
        room: &str,
        sender: &str,
        kind: &str,
        content: &Value,
        state_key: Option<&str>,
    ) -> String {
        let id = format!("$event{}", self.events.len());
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut event = json!({
            "type": kind,
            "event_id": id,
            "sender": sender,
            "origin_server_ts": now.unwrap_or_default().as_secs().saturating_mul(1000),
            "content": content,
        });
        if let (Some(state_key), Some(event)) = (state_key, event.as_object_mut()) {
            event.insert("state_key".into(), state_key.into());
        }
        self.events.push((room.to_owned(), event));
        id
    }

    fn sync(&self, call: &Call, session: &Session, may_wait: bool) -> Reply {
        let since = call.query.get("since").and_then(|it| it.strip_prefix('s'));
        let since: usize = since.and_then(|it| it.parse().ok()).unwrap_or(0);
        let filter = call.query.get("filter").map_or("", String::as_str);
        let filter: Value = serde_json::from_str(filter).unwrap_or_default();
        let limit = filter.pointer("/room/timeline/limit");
        let limit = limit.and_then(Value::as_u64);
        let limit = limit.and_then(|it| it.try_into().ok()).unwrap_or(10);
        let mut joined = BTreeMap::new();
        for (room, _) in self
            .rooms
            .iter()
            .filter(|(_, it)| it.contains(&session.user))
        {
            let news: Vec<&Value> = self
                .events
                .iter()
                .skip(since)
                .filter_map(|(it, event)| (it == room).then_some(event))
                .collect();
            let skipped = news.len().saturating_sub(limit);
            if !news.is_empty() {
                let events = news.get(skipped..).unwrap_or_default();
                joined.insert(
                    room,
                    json!({ "timeline": {
                        "events": events, "limited": skipped > 0, "prev_batch": format!("s{since}"),
                    }}),
                );
            }
        }
        let wait = call.query.get("timeout").and_then(|it| it.parse().ok());
        let wait = Duration::from_millis(wait.unwrap_or(0)).min(LONGEST_POLL);
        if joined.is_empty() && may_wait && !wait.is_zero() {
            return Reply::Wait(wait);
        }
        Reply::ok(json!({
            "next_batch": format!("s{}", self.events.len()), "rooms": { "join": joined },
        }))
    }

    /// The newest first, all of them: no conversation here is long.
    fn messages(&self, room: &str) -> Reply {
        let in_room = self.events.iter().rev().filter(|(it, _)| it == room);
        let chunk: Vec<Value> = in_room
            .map(|(_, event)| {
                let mut event = event.clone();
                if let Some(event) = event.as_object_mut() {
                    event.insert("room_id".into(), room.into());
                }
                event
            })
            .collect();
        Reply::ok(json!({ "chunk": chunk, "start": format!("s{}", self.events.len()) }))
    }

    fn upload(&mut self, call: &Call) -> Reply {
        let id = format!("media{}", self.media.len());
        let kind = call.kind.clone();
        let kind = kind.unwrap_or_else(|| "application/octet-stream".to_owned());
        self.media.insert(id.clone(), (kind, call.body.clone()));
        Reply::ok(json!({ "content_uri": format!("mxc://{SERVER}/{id}") }))
    }

    fn download(&self, id: &str) -> Result<Reply, Error> {
        let (kind, content) = self.media.get(id).ok_or(call::NOT_FOUND)?;
        Ok(Reply::Media(kind.clone(), content.clone()))
    }

    /// Synapse's admin API.
    fn list_users(&self, session: &Session) -> Result<Reply, Error> {
        let admin = self.users.first();
        if admin != Some(&session.user) {
            return Err(call::NOT_ADMIN);
        }
        let users: Vec<Value> = self
            .users
            .iter()
            .map(|user| json!({ "name": user, "admin": Some(user) == admin, "deactivated": false }))
            .collect();
        Ok(Reply::ok(json!({ "total": users.len(), "users": users })))
    }
}
