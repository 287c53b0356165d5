//! Another proxy asks us whether a request may pass, and what to send on.
//!
//! nginx (`auth_request`), Caddy and Traefik (forward auth) and Envoy (`ext_authz`, by
//! HTTP or gRPC) keep the client's connection and the upstream's; we see the head of
//! each request and answer with a verdict. The request that is asked about
//! ([`original`], [`check`]) goes through the same [`plan`] as one that is forwarded,
//! and the answer is read from the head that the upstream would have got ([`outcome`]),
//! so that the two cannot differ.
//!
//! Whoever asks has to be in `trusted_proxies`; to everybody else there is nothing
//! here, on any path, so that nobody can try tokens out. What is told in two ways is
//! refused: a field that we take for the proxy's word may be its client's.
//!
//! The body stays with the proxy, so a token in a form cannot be moved, and its
//! absence elsewhere is no reason for a 401 ([`plan::Body::Elsewhere`]).

pub mod answer;
pub mod check;
pub mod envoy;
pub mod grpc;
pub mod original;
pub mod outcome;

use crate::{
    access_log::Record,
    http1::{
        head::{self, Field, RequestHead},
        length::Length,
        survey::{self, Survey},
    },
    hygiene::Peer,
    plan::{self, Body, Plan, Verdict},
    refusal::Refusal,
    relocate,
    settings::Settings,
    target,
};
pub use answer::Asker;

/// What was asked.
#[derive(Debug)]
pub struct Question {
    /// What is done about the request in question; what it says of a connection is
    /// about the one to the proxy that asks.
    pub plan: Plan,
    /// How the answer has to look.
    pub asker: Asker,
    /// The body that the question has, which nobody needs.
    pub unread: Length,
}

impl Question {
    /// One that is not about another request.
    fn about_itself(verdict: Verdict, survey: &Survey<'_>, head: &RequestHead<'_, '_>) -> Self {
        Self {
            plan: Plan {
                verdict,
                ..carrier(Plan::refuse(Refusal::NoRoute), survey, head)
            },
            asker: Asker::Other,
            unread: survey.length,
        }
    }
}

/// Reads a question by HTTP, and decides about the request that it is about. What the
/// upstream would get of it is written to `out`, and to `shown` its target as a log may
/// show it, for whoever cannot do without.
pub fn ask(
    raw: &[u8],
    peer: &Peer,
    settings: &Settings,
    record: &mut Record,
    out: &mut Vec<u8>,
    shown: &mut Vec<u8>,
) -> Question {
    let mut room = [httparse::EMPTY_HEADER; FEW_FIELDS];
    match head::parse(raw, &mut room) {
        Ok(head) => {
            let mut room = [httparse::EMPTY_HEADER; FEW_FIELDS + 1];
            ask_of(head, &mut room, peer, settings, record, out, shown)
        }
        Err(Refusal::TooManyFields) => ask_of_many(raw, peer, settings, record, out, shown),
        Err(refusal) => unreadable(refusal, raw, peer, record),
    }
}

/// See [`plan::make`], which makes the same difference.
const FEW_FIELDS: usize = 24;

#[cold]
fn ask_of_many(
    raw: &[u8],
    peer: &Peer,
    settings: &Settings,
    record: &mut Record,
    out: &mut Vec<u8>,
    shown: &mut Vec<u8>,
) -> Question {
    let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
    match head::parse(raw, &mut room) {
        Ok(head) => {
            let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS + 1];
            ask_of(head, &mut room, peer, settings, record, out, shown)
        }
        Err(refusal) => unreadable(refusal, raw, peer, record),
    }
}

/// What cannot be read is no question.
pub fn unreadable(refusal: Refusal, raw: &[u8], peer: &Peer, record: &mut Record) -> Question {
    record.request(b"", head::first_line(raw), None);
    Question {
        plan: Plan::refuse(to(peer, refusal)),
        asker: Asker::Other,
        unread: Length::UntilClose,
    }
}

fn ask_of<'r>(
    head: RequestHead<'r, '_>,
    room: &mut [Field<'r>],
    peer: &Peer,
    settings: &Settings,
    record: &mut Record,
    out: &mut Vec<u8>,
    shown: &mut Vec<u8>,
) -> Question {
    let survey = match begin(&head, peer, record) {
        Begin::Question(survey) => survey,
        Begin::Answer(question) => return question,
    };
    let (refusal, asker) = match original::find(&head) {
        Ok(original) => match original.head(head.fields, room) {
            Some(virtual_head) => {
                original.show(&settings.redactor, shown);
                let plan =
                    plan::make_of(virtual_head, Body::Elsewhere, peer, settings, record, out);
                return Question {
                    plan: carrier(plan, &survey, &head),
                    asker: original.asker,
                    unread: survey.length,
                };
            }
            None => (Refusal::TooManyFields, original.asker),
        },
        Err(original::NotAsked { refusal, asker }) => (refusal, asker),
    };
    Question {
        asker,
        ..Question::about_itself(Verdict::Refuse(refusal), &survey, &head)
    }
}

/// To a stranger there is nothing here.
fn to(peer: &Peer, refusal: Refusal) -> Refusal {
    if peer.is_trusted {
        refusal
    } else {
        Refusal::NoRoute
    }
}

/// What a request on a listener for questions is.
#[derive(Debug)]
pub enum Begin<'r> {
    /// A question, or what somebody whom we trust takes for one.
    Question(Survey<'r>),
    /// Something else: a stranger's, or a probe's. This is all there is to it.
    Answer(Question),
}

/// Tells questions from other requests.
pub fn begin<'r>(head: &RequestHead<'r, '_>, peer: &Peer, record: &mut Record) -> Begin<'r> {
    record.request(head.method, head.target, Some(head.version));
    let survey = match survey::survey(head) {
        Ok(survey) => survey,
        Err(refusal) => {
            return Begin::Answer(Question {
                plan: Plan {
                    version: head.version,
                    is_head: head.method == b"HEAD",
                    ..Plan::refuse(to(peer, refusal))
                },
                asker: Asker::Other,
                unread: Length::UntilClose,
            });
        }
    };
    let answer = |verdict| Begin::Answer(Question::about_itself(verdict, &survey, head));
    if !peer.is_trusted {
        return answer(Verdict::Refuse(Refusal::NoRoute));
    }
    let is_probe = matches!(head.method, b"GET" | b"HEAD")
        && target::split(head.target).is_some_and(|form| relocate::is_path(&form, plan::HEALTH));
    if is_probe {
        return answer(Verdict::Health);
    }
    Begin::Question(survey)
}

/// A plan for another request, with what belongs to the connection that carried the
/// question.
#[must_use]
pub fn carrier(plan: Plan, survey: &Survey<'_>, head: &RequestHead<'_, '_>) -> Plan {
    Plan {
        version: head.version,
        is_head: head.method == b"HEAD",
        keep_alive: survey.keep_alive,
        length: survey.length,
        expects_continue: survey.expects_continue,
        wants_upgrade: false,
        ..plan
    }
}
