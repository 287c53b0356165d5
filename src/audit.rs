//! Finds the secrets that logs hold already: whose, how many, since when, still of use?
//!
//! # Life of a line
//!
//! 1. `input` says which files there are, in the order of time, and opens each by what it
//!    is: plain or compressed. `scan` reads it in large blocks, each worker its own.
//! 2. [`redact`](crate::redact) looks over a block as a whole. A line is looked at only if
//!    something in it may be a secret: then [`line`](mod@line) says what kind of line it is and what
//!    it tells of a request.
//! 3. Each secret becomes a [`sighting`]: from here on nobody has the secret itself, only
//!    a keyed fingerprint.
//! 4. The [`tally`] adds sightings up. Tallies of blocks, files and machines add up the
//!    same way, in any order.
//! 5. A tally becomes a [`report`], which each format only writes down.
//!
//! What could not be read or understood is part of the report: incomplete never looks
//! like clean.

pub mod advice;
pub mod baseline;
mod follow;
pub(crate) mod input;
pub mod key;
pub mod line;
pub mod live_set;
pub mod merge;
mod news;
pub mod options;
mod progress;
pub mod registration;
pub mod report;
mod revoke;
mod run;
mod scan;
pub mod sighting;
pub mod tally;
pub mod verify_live;

pub use run::run;
