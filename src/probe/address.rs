//! Where the requests go, and that it is near unless somebody says otherwise.

use std::net::{IpAddr, SocketAddr};

use crate::config::{self, Upstream};

/// What the command line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) server: Upstream,
    /// In front of every path, without a slash at its end.
    pub(super) prefix: String,
}

impl Url {
    /// `http://HOST[:PORT][/PATH]`, the same with `https`, or `unix:/PATH`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let begin = text.find("://").map_or(0, |at| at.saturating_add(3));
        let (front, path) = match text.get(begin..).and_then(|rest| rest.find('/')) {
            Some(slash) if begin > 0 => text.split_at(begin.saturating_add(slash)),
            Some(_) | None => (text, ""),
        };
        if let Some(bad) = path
            .chars()
            .find(|it| !it.is_ascii_graphic() || "?#".contains(*it))
        {
            return Err(format!("the URL's path must not have {bad:?}"));
        }
        let server =
            config::parse_upstream(front).map_err(|message| format!("the URL {message}"))?;
        Ok(Self {
            server,
            prefix: path.trim_end_matches('/').to_owned(),
        })
    }

    /// The value of `Host`.
    pub(super) fn host(&self) -> &str {
        match &self.server {
            Upstream::Tcp { authority, .. } => authority,
            Upstream::Unix { .. } => "localhost",
        }
    }
}

/// `HOST:PORT` of `--connect`; the host without brackets.
pub(super) fn connect(text: &str) -> Result<(String, u16), String> {
    match config::parse_upstream(&format!("http://{text}")) {
        Ok(Upstream::Tcp { host, port, .. }) if text.ends_with(&format!(":{port}")) => {
            Ok((host, port))
        }
        Ok(_) | Err(_) => Err("--connect must be HOST:PORT".to_owned()),
    }
}

/// The first address that is not near.
pub(super) fn far(addresses: &[SocketAddr]) -> Option<IpAddr> {
    addresses
        .iter()
        .map(|address| address.ip().to_canonical())
        .find(|address| !is_near(*address))
}

/// This machine, or a network that the Internet does not reach.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        let rows = [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", ""),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080", ""),
            ("https://[::1]/grafana/api/", "[::1]", "/grafana/api"),
            ("unix:/run/tokenshim.sock", "localhost", ""),
        ];
        for (text, host, prefix) in rows {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host(), url.prefix.as_str()), (host, prefix), "{text}");
        }
        for text in [
            "127.0.0.1:80",
            "http://",
            "http://h/?access_token=x",
            "http://user@h/",
            "ftp://h/",
            "http://h/a b",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_where_to_connect() {
        assert_eq!(connect("127.0.0.1:443"), Ok(("127.0.0.1".into(), 443)));
        assert_eq!(connect("[::1]:80"), Ok(("::1".into(), 80)));
        for text in ["127.0.0.1", "", "h:0", "h:443/"] {
            assert!(connect(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_what_is_near() {
        let rows = [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("10.1.2.3:1", true),
            ("172.31.0.1:1", true),
            ("192.168.1.1:1", true),
            ("[fd00::1]:1", true),
            ("172.32.0.1:1", false),
            ("192.0.2.1:1", false),
            ("[2001:db8::1]:1", false),
            ("[::ffff:192.0.2.1]:1", false),
            ("0.0.0.0:1", false),
        ];
        for (text, near) in rows {
            assert_eq!(far(&[text.parse().unwrap()]).is_none(), near, "{text}");
        }
    }
}
