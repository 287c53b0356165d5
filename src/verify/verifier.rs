//! One who knows tokens: what is remembered, and whom to ask about the rest.

use std::{net::IpAddr, sync::Arc, time::Instant};

use super::{
    Answer, Identity, NoAnswer, Verdict,
    ask::Ask,
    bad_tokens::BadTokens,
    learn::{Lesson, Touch},
    memo::{Belief, Memo},
    memory::Memory,
    tokens::Tokens,
};
use crate::{
    config::OnFailure,
    refusal::Refusal,
    secret::{AccessToken, TokenKey},
};

/// One who knows tokens.
#[derive(Debug)]
pub struct Verifier {
    pub(super) source: Source,
    pub(super) memory: Arc<Memory>,
    pub(super) bad_tokens: Arc<BadTokens>,
    pub(super) belief: Belief,
    pub(super) on_failure: OnFailure,
}

/// Where verdicts come from.
#[derive(Debug)]
pub(super) enum Source {
    /// The answers of an upstream, as they pass.
    Answers,
    /// An issuer that is asked.
    Issuer(Ask),
    /// A file.
    File(Tokens),
}

impl Verifier {
    /// What is remembered of a token.
    #[must_use]
    pub fn recall(&self, key: TokenKey, now: Instant) -> Option<Arc<Verdict>> {
        self.memory.recall(key, now)
    }

    /// Whether a token of which nothing is remembered is asked about; else it passes.
    #[must_use]
    pub fn asks(&self) -> bool {
        !matches!(self.source, Source::Answers)
    }

    /// Asks whoever knows, and remembers.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`], which says nothing about the token.
    pub async fn ask(
        &self,
        key: TokenKey,
        token: &AccessToken<'_>,
    ) -> Result<Arc<Verdict>, NoAnswer> {
        let memo = Memo::new(&self.memory, key, self.belief);
        let answer = match &self.source {
            Source::Answers => return Err(NoAnswer::Open),
            Source::File(tokens) => {
                let answer = in_file(tokens, token);
                memo.keep(&answer);
                Arc::new(answer)
            }
            Source::Issuer(issuer) => issuer.ask(key, token, memo).await?,
        };
        Ok(Arc::new(answer.verdict.clone()))
    }

    /// The upstream does not know the token.
    pub fn learn(&self, key: TokenKey, lesson: Lesson, client: Option<IpAddr>, now: Instant) {
        if self.asks() {
            return;
        }
        let verdict = Arc::new(Verdict::Unknown {
            soft_logout: lesson.soft_logout,
        });
        self.memory.keep(key, verdict, self.belief.other, now);
        // Answered by the upstream this time, but counted.
        let _ = self.bad_tokens.count(client, now);
    }

    /// The answer to a token that is none.
    #[must_use]
    pub fn refusal(&self, soft_logout: bool, client: Option<IpAddr>, now: Instant) -> Refusal {
        match self.bad_tokens.count(client, now) {
            Some(retry_after) => Refusal::TooManyBadTokens { retry_after },
            None => Refusal::UnknownToken { soft_logout },
        }
    }

    /// Whether a request passes if nobody could be asked.
    #[must_use]
    pub fn forwards_unverified(&self) -> bool {
        self.on_failure == OnFailure::Forward
    }

    /// Forgets the verdicts that `touch` may make void; `key` is the caller's token.
    /// Unless it `is_certain` that it was done, a stranger may have asked for it: he
    /// cannot make us forget everything.
    pub(super) fn forget(&self, touch: &Touch, key: Option<TokenKey>, is_certain: bool) {
        // What an upstream does not know will not be known again.
        let Source::Issuer(ask) = &self.source else {
            return;
        };
        match touch {
            Touch::Named(user) => self.memory.forget_user(user),
            Touch::User => match key.and_then(|key| self.user_of(key)) {
                Some(user) => self.memory.forget_user(&user),
                // One whose tokens we may know, but not by this one.
                None if is_certain => self.memory.forget_all(),
                None => {}
            },
            Touch::All if is_certain => self.memory.forget_all(),
            Touch::All | Touch::Token => {}
        }
        if let Some(key) = key {
            self.memory.forget(key);
        }
        // An answer to a question of before must not reach who comes from here on.
        ask.begin_anew();
    }

    fn user_of(&self, key: TokenKey) -> Option<String> {
        match &*self.memory.recall(key, Instant::now())? {
            Verdict::Valid(identity) => identity.user.clone(),
            _ => None,
        }
    }
}

/// What the tokens file says.
fn in_file(tokens: &Tokens, token: &AccessToken<'_>) -> Answer {
    let verdict = match tokens.find(token) {
        Some(label) => Verdict::Valid(Identity {
            label: Some(label.to_owned()),
            ..Identity::default()
        }),
        // The file issues no sessions: one that it does not know may be good elsewhere.
        None => Verdict::Unknown { soft_logout: true },
    };
    Answer {
        verdict,
        valid_for: None,
    }
}
