//! stub
use super::Identity;
use crate::config::Check;
#[derive(Debug, Default)]
pub struct Rules;
impl From<&Check> for Rules {
    fn from(_: &Check) -> Self {
        Self
    }
}
impl Rules {
    pub fn admits(&self, _: &Identity) -> bool {
        true
    }
    pub fn asks_admin(&self) -> bool {
        false
    }
}
