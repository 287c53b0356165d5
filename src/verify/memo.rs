//! The place where the answer to one question is kept.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Answer, Verdict,
    memory::{Memory, Moment},
};
use crate::secret::TokenKey;

/// How long verdicts stand.
#[derive(Clone, Copy, Debug)]
pub struct Belief {
    /// That a token is good.
    pub valid: Duration,
    /// Any other.
    pub other: Duration,
}

impl Belief {
    /// As long as we say, but not longer than the issuer does.
    fn in_answer(self, answer: &Answer) -> Duration {
        let ours = match answer.verdict {
            Verdict::Valid(_) => self.valid,
            Verdict::Unknown { .. } | Verdict::Locked | Verdict::Unfit => self.other,
        };
        answer.valid_for.map_or(ours, |theirs| ours.min(theirs))
    }
}

/// Where the answer to one question is kept, unless it is void by then.
#[derive(Clone, Debug)]
pub struct Memo {
    memory: Arc<Memory>,
    key: TokenKey,
    /// What is forgotten from then on, the answer may not know of.
    asked: Moment,
    belief: Belief,
}

impl Memo {
    /// Make it before the question is put.
    #[must_use]
    pub fn new(memory: &Arc<Memory>, key: TokenKey, belief: Belief) -> Self {
        Self {
            memory: Arc::clone(memory),
            key,
            asked: memory.moment(),
            belief,
        }
    }

    /// Keeps the answer.
    pub fn keep(&self, answer: &Answer) {
        let verdict = Arc::new(answer.verdict.clone());
        let ttl = self.belief.in_answer(answer);
        self.memory
            .keep_if(self.asked, self.key, verdict, ttl, Instant::now());
    }

    /// An answer that somebody else got meanwhile.
    #[must_use]
    pub fn look(&self) -> Option<Answer> {
        let verdict = self.memory.recall(self.key, Instant::now())?;
        Some(Answer {
            verdict: (*verdict).clone(),
            valid_for: None,
        })
    }
}
