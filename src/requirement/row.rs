//! One line of `endpoints.txt`.

use super::{Api, Class, Endpoint};

/// A method the table can name, or cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Delete,
    Options,
    Other,
}

/// A line, read.
#[derive(Debug)]
pub(super) struct Row {
    /// `None` is any method.
    pub(super) method: Option<Method>,
    pub(super) endpoint: Endpoint,
    pub(super) path: &'static str,
}

impl Method {
    /// Methods have a case. Servers route `HEAD` as `GET`.
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"GET" | b"HEAD" => Self::Get,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

impl Row {
    pub(super) fn parse(line: &'static str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let method = match words.next()? {
            "ANY" => None,
            "GET" => Some(Method::Get),
            "POST" => Some(Method::Post),
            "PUT" => Some(Method::Put),
            "DELETE" => Some(Method::Delete),
            _ => return None,
        };
        let class = match words.next()? {
            "required" => Class::Required,
            "optional" => Class::Optional,
            "open" => Class::Open,
            "never" => Class::Never,
            _ => return None,
        };
        let api = match words.next()? {
            "client" => Api::Client,
            "identity" => Api::Identity,
            "other" => Api::Other,
            _ => return None,
        };
        let path = words.next()?;
        words.next().is_none().then_some(Self {
            method,
            endpoint: Endpoint { class, api },
            path,
        })
    }
}
