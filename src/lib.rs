//! A reverse proxy that moves Matrix access tokens out of URLs and keeps them
//! out of logs.
//!
//! # Life of a request
//!
//! Be a request. You come from an old client, and your first line is
//! `GET /_matrix/client/r0/sync?since=s1&access_token=…`.
//!
//! 1. **Start.** Long before you came, [`serve`] read the [`config`], made [`settings`] of
//!    it, bound its sockets ([`listen`]) or took those that systemd had ready
//!    ([`inherited`]), and started one worker [`thread`] for each core.
//! 2. **The door.** The acceptor gives your connection to the worker with the fewest; from
//!    here on one [`worker`] has all that you need. At the [`door`] it is asked whether there
//!    is room ([`admission`]) and who you are ([`proxy_protocol`]), and you may shake hands
//!    ([`tls`]). If you speak HTTP/2, [`http2`] shows each of your streams as a connection of
//!    its own, so that you are alone from here on. [`connection`] waits for your first byte
//!    without holding a buffer, takes hold of the settings of this moment, and reads your head
//!    ([`http1::head`]). If you break HTTP's grammar you are answered here, and logged like
//!    everybody.
//! 3. **The plan.** [`plan`] is the pure half: bytes in, a decision out, no clock and no
//!    socket. It takes one look over your fields ([`http1::survey`]) and splits your
//!    [`target`], which nobody else may read while it is raw. Host and path say which
//!    route you take, and by which rules.
//! 4. **Relocation.** [`relocate`] finds your token, in the query or in a form, and decides
//!    whether it is one, and which. [`requirement`] knows whether your endpoint needs
//!    one. If the answer must be ours, [`refusal`] makes it, exact to the byte.
//! 5. **Hygiene.** [`hygiene`] lets your other fields pass in order and case, but for those
//!    that were meant for this hop only. Your new head has `Authorization: Bearer`, and a
//!    target that lost its token and no other byte.
//! 6. **Who is this?** If somebody knows tokens here ([`verify`]), what he said of yours is
//!    remembered, or he is asked; then you go on with your user's name, or get his word.
//! 7. **The exchange.** [`exchange`] takes a connection from your route's pool
//!    ([`upstream`]), sends you, and watches both sides: your client may leave, the
//!    homeserver may answer before you have been sent whole. [`http1::body`] streams both
//!    bodies. If you asked to become something else, a [`tunnel`] carries you.
//! 8. **The way back.** [`response`] frames the answer for your client, and takes care that
//!    no shared cache keeps the answer to your URL and no redirect repeats it. If it says
//!    that your token is none, [`verify`] learns that.
//! 9. **The log.** When the last byte is out, or your client is gone, your line is written
//!    ([`access_log`]): masked by [`redact`], your token as a keyed fingerprint
//!    ([`secret`]). A thread of its own writes it, so no disk can hold you up.
//!
//! Within 5 the order matters: the client's own hop-by-hop fields are judged before
//! any field is added, or a client could name the new `Authorization` in its
//! `Connection` and have it dropped.
//!
//! You may also come as a question: another proxy has you, and asks what to do with you.
//! [`authorize`] finds out who you are, takes you as far as step 5, and tells what you
//! would have become.
//!
//! While you wait, the configuration may change: you end with the settings that you
//! began with. Or the process is told to stop: then you are finished first.
//!
//! What was left of you in logs before there was a tokenshim, [`audit`] finds.
//! Whether your token was left in a log of somebody on the way, [`probe`] finds out and [`doctor`]
//! foresees; [`emit`] has the remedy. [`manual`] tells of all commands.
//!
//! What happened to you is counted in [`metrics`], which [`admin`] shows; [`clock`] has
//! the time. [`cli`], [`exit`], [`demo`], [`hash_token`], [`fingerprint`] and [`healthcheck`] are the program around it,
//! the time. [`cli`], [`exit`], [`demo`], [`hash_token`] and [`healthcheck`] are the program around it,
//! [`redact_logs`] and [`relay`] mask what other programs log,
//! [`systemd`] is told how it is;
//! [`diagnostics`] is its own log, masked as well. [`percent`] decodes, [`field_value`]
//! reads, [`scan`] looks and [`decimal`] counts for all of them.
//!
//! You may meet step 4 without all the others: [`layer`] is relocation on the stack of
//! another server.

pub mod access_log;
pub mod admin;
pub mod admission;
pub mod audit;
pub mod authorize;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection;
pub mod decimal;
pub mod demo;
pub mod diagnostics;
pub mod doctor;
pub mod door;
pub mod emit;
pub mod exchange;
pub mod exit;
pub mod field_value;
pub mod fingerprint;
mod fold;
pub mod hash_token;
pub mod healthcheck;
pub mod http1;
pub mod http2;
pub mod hygiene;
pub mod inherited;
pub mod layer;
pub mod listen;
pub mod manual;
pub mod metrics;
pub mod percent;
pub mod plan;
pub mod probe;
pub mod proxy_protocol;
pub mod redact;
pub mod redact_logs;
pub mod refusal;
pub mod relay;
pub mod relocate;
pub mod requirement;
pub mod response;
pub mod scan;
pub mod secret;
pub mod serve;
pub mod settings;
pub mod systemd;
pub mod target;
pub mod thread;
pub mod tls;
pub mod tunnel;
pub mod upstream;
pub mod verify;
pub mod worker;
