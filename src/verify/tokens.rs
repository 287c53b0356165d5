//! stub
use super::Answer;
use crate::secret::AccessToken;
use std::path::Path;
#[derive(Debug)]
pub struct Tokens;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct TokensError;
impl Tokens {
    pub fn read(_: &Path) -> Result<Self, TokensError> {
        Ok(Self)
    }
    pub fn answer(&self, _: &AccessToken<'_>) -> Answer {
        Answer {
            verdict: super::Verdict::Locked,
            valid_for: None,
        }
    }
}
