//! One line of what a database gave: the token, and whose it is.
//!
//! Whatever is not clearly a user or a device is refused, and never written out: in
//! columns of another order it could be a token.

use std::{borrow::Cow, fmt};

use zeroize::Zeroizing;

use crate::{redact, secret::AccessToken};

/// The longest token, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// The longest user or device, in bytes.
const LONGEST_TEXT: usize = 1024;

/// What a line says.
pub struct Columns<'l> {
    /// The token as it is used.
    pub token: Token<'l>,
    /// The Matrix user.
    pub user: Option<String>,
    /// The device; nothing in it ends a line or a column.
    pub device: Option<String>,
}

impl fmt::Debug for Columns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Columns({:?}, {:?})", self.user, self.device)
    }
}

/// A token that was unquoted is a copy, and wiped.
pub enum Token<'l> {
    /// As it stands.
    Plain(&'l [u8]),
    /// Without its quotes.
    Unquoted(Zeroizing<Vec<u8>>),
}

impl AsRef<[u8]> for Token<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text,
            Self::Unquoted(text) => text,
        }
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(<redacted>)")
    }
}

/// Why a line is none of ours. It says nothing of what stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// No token there.
    #[error("no token in the first column")]
    NoToken,
    /// Columns in another order.
    #[error("the first column is a user, and has to be the token")]
    UserFirst,
    /// Longer than any line could be.
    #[error("too long")]
    TooLong,
    /// Not a user.
    #[error("the second column is no Matrix user such as @alice:example.org")]
    NoUser,
    /// Not a device.
    #[error("the third column is no device")]
    NoDevice,
    /// It would be written out.
    #[error("there is a token behind the first column")]
    SecondToken,
    /// Nobody knows what they are.
    #[error("more than three columns")]
    TooMany,
    /// A quote that does not end.
    #[error("a quote does not end on the line")]
    Quote,
}

impl<'l> Columns<'l> {
    /// Reads a line; `None` for one that says nothing: empty, or, as the first, the names
    /// of the columns.
    ///
    /// # Errors
    ///
    /// [`BadLine`].
    pub fn parse(line: &'l [u8], is_first: bool) -> Result<Option<Self>, BadLine> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(None);
        }
        let (token, rest) = first(line)?;
        if is_first
            && matches!(
                token.as_ref(),
                b"token" | b"access_token" | b"refresh_token"
            )
        {
            return Ok(None);
        }
        let text = token.as_ref();
        if text.first() == Some(&b'@') && text.contains(&b':') {
            return Err(BadLine::UserFirst);
        }
        if text == NULL || AccessToken::from_text(text).is_err() {
            return Err(BadLine::NoToken);
        }
        if text.len() > LONGEST_TOKEN {
            return Err(BadLine::TooLong);
        }
        let (user, device) = match rest {
            None => (None, None),
            Some((separator, rest)) => whose(separator, rest)?,
        };
        let is_copy = |column: &Option<String>| {
            column.as_deref().is_some_and(|column| {
                column.as_bytes() == text || !redact::find(column.as_bytes()).is_empty()
            })
        };
        if is_copy(&user) || is_copy(&device) {
            return Err(BadLine::SecondToken);
        }
        Ok(Some(Self {
            token,
            user,
            device,
        }))
    }
}

/// How `COPY` writes that there is nothing.
const NULL: &[u8] = b"\\N";

type Rest<'l> = Option<(u8, &'l [u8])>;

/// The first column, and what stands behind it with the byte between.
fn first(line: &[u8]) -> Result<(Token<'_>, Rest<'_>), BadLine> {
    if let Some(quoted) = line.strip_prefix(b"\"") {
        let (text, behind) = unquote(quoted)?;
        return match behind.split_first() {
            None => Ok((Token::Unquoted(text), None)),
            Some((byte, rest)) if is_separator(*byte) => {
                Ok((Token::Unquoted(text), Some((*byte, rest))))
            }
            Some(_) => Err(BadLine::Quote),
        };
    }
    let Some(at) = line.iter().position(|byte| is_separator(*byte)) else {
        return Ok((Token::Plain(line), None));
    };
    let (token, rest) = line.split_at_checked(at).ok_or(BadLine::NoToken)?;
    let rest = rest
        .split_first()
        .map(|(separator, rest)| (*separator, rest));
    Ok((Token::Plain(token), rest))
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'\t' | b',' | b'|')
}

/// What stands in quotes, `""` being one, and what is behind them.
fn unquote(quoted: &[u8]) -> Result<(Zeroizing<Vec<u8>>, &[u8]), BadLine> {
    let mut text = Zeroizing::new(Vec::with_capacity(quoted.len()));
    let mut rest = quoted;
    loop {
        let at = memchr::memchr(b'"', rest).ok_or(BadLine::Quote)?;
        let (before, behind) = rest.split_at_checked(at).ok_or(BadLine::Quote)?;
        text.extend_from_slice(before);
        match behind {
            [b'"', b'"', more @ ..] => {
                text.push(b'"');
                rest = more;
            }
            [b'"', more @ ..] => return Ok((text, more)),
            _ => return Err(BadLine::Quote),
        }
    }
}

type Whose = (Option<String>, Option<String>);

/// User and device, in that order.
fn whose(separator: u8, rest: &[u8]) -> Result<Whose, BadLine> {
    let (user, rest) = column(separator, rest)?;
    let user = text(&user, BadLine::NoUser)?;
    if !user.as_deref().is_none_or(is_user) {
        return Err(BadLine::NoUser);
    }
    let Some(rest) = rest else {
        return Ok((user, None));
    };
    let (device, rest) = column(separator, rest)?;
    if rest.is_some() {
        return Err(BadLine::TooMany);
    }
    Ok((user, text(&device, BadLine::NoDevice)?))
}

type Column<'l> = (Cow<'l, [u8]>, Option<&'l [u8]>);

/// The next column, unquoted, and what is behind its separator.
fn column(separator: u8, text: &[u8]) -> Result<Column<'_>, BadLine> {
    if let (b',', Some(quoted)) = (separator, text.strip_prefix(b"\"")) {
        let (column, behind) = unquote(quoted)?;
        let rest = match behind.split_first() {
            None => None,
            Some((byte, rest)) if *byte == separator => Some(rest),
            Some(_) => return Err(BadLine::Quote),
        };
        return Ok((Cow::Owned(column.to_vec()), rest));
    }
    let mut parts = text.splitn(2, |byte| *byte == separator);
    let column = parts.next().unwrap_or_default();
    Ok((Cow::Borrowed(column), parts.next()))
}

/// A column as text in one line; `None` for an empty one.
fn text(column: &[u8], bad: BadLine) -> Result<Option<String>, BadLine> {
    if column.is_empty() || column == NULL {
        return Ok(None);
    }
    let text = str::from_utf8(column).map_err(|_| bad)?;
    if text.len() > LONGEST_TEXT {
        return Err(bad);
    }
    Ok(Some(text.replace(char::is_control, "\u{fffd}")))
}

/// Whether it is a user of any age, from any homeserver: some have spaces, or are not ASCII.
fn is_user(text: &str) -> bool {
    text.strip_prefix('@')
        .and_then(|rest| rest.split_once(':'))
        .is_some_and(|(_, server)| !server.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Token, user, device.
    type Read = (String, Option<String>, Option<String>);

    fn parse(line: &str) -> Result<Option<Read>, BadLine> {
        let columns = Columns::parse(line.as_bytes(), false)?;
        Ok(columns.map(|columns| {
            let token = String::from_utf8(columns.token.as_ref().to_vec()).unwrap();
            (token, columns.user, columns.device)
        }))
    }

    #[test]
    fn reads_what_databases_write() {
        let user = Some("@alice:hs");
        let cases = [
            ("a token", "FAKE", None, None),
            ("from Windows", "FAKE\r", None, None),
            ("sqlite3", "FAKE|@alice:hs|DEVICE", user, Some("DEVICE")),
            ("sqlite3, no device", "FAKE|@alice:hs|", user, None),
            ("psql -At", "FAKE|@alice:hs|DEVICE", user, Some("DEVICE")),
            ("COPY", "FAKE\t@alice:hs\tDEVICE", user, Some("DEVICE")),
            ("COPY, no device", "FAKE\t@alice:hs\t\\N", user, None),
            ("CSV", "FAKE,@alice:hs,DEVICE", user, Some("DEVICE")),
            (
                "CSV, quoted",
                r#""FAKE","@alice:hs","a ""b"", c""#,
                user,
                Some(r#"a "b", c"#),
            ),
            (
                "another separator in the device",
                "FAKE|@alice:hs|a,b",
                user,
                Some("a,b"),
            ),
            ("a user alone", "FAKE,@alice:hs", user, None),
            ("no user", "FAKE||", None, None),
            (
                "a user of old",
                "FAKE|@Ålice b:hs|D",
                Some("@Ålice b:hs"),
                Some("D"),
            ),
            (
                "what ends a line",
                "FAKE\t@alice:hs\ta\u{b}b",
                user,
                Some("a\u{fffd}b"),
            ),
        ];
        for (name, line, user, device) in cases {
            let expected = (
                "FAKE".to_owned(),
                user.map(str::to_owned),
                device.map(str::to_owned),
            );
            assert_eq!(parse(line), Ok(Some(expected)), "case: {name}");
        }
        assert_eq!(parse(""), Ok(None));
        for head in ["token|user_id|device_id", "access_token", "token,user_id\r"] {
            assert!(Columns::parse(head.as_bytes(), true).unwrap().is_none());
        }
    }

    #[test]
    fn refuses_what_could_show_a_token() {
        let cases = [
            ("no token", "|@alice:hs|D", BadLine::NoToken),
            ("nothing there", "\\N\t@alice:hs\tD", BadLine::NoToken),
            ("a space", "FAKE FAKE", BadLine::NoToken),
            ("not ASCII", "FÅKE|@alice:hs|D", BadLine::NoToken),
            ("user and token", "@alice:hs|FAKE|D", BadLine::UserFirst),
            ("token and device", "FAKE|DEVICE|@alice:hs", BadLine::NoUser),
            ("the row's number first", "17|FAKESECRET|D", BadLine::NoUser),
            ("a token twice", "FAKE|@alice:hs|FAKE", BadLine::SecondToken),
            (
                "a token at the end",
                "7|@alice:hs|syt_ZmFrZQ_FAKEFAKEFAKEFAKEFAKE_0aaaaa",
                BadLine::SecondToken,
            ),
            ("four columns", "FAKE|@alice:hs|D|SECRET", BadLine::TooMany),
            ("half a quote", "\"FAKE", BadLine::Quote),
            ("more behind a quote", "\"FAKE\"x,@alice:hs", BadLine::Quote),
            (
                "half a quote at the end",
                "FAKE,@alice:hs,\"D",
                BadLine::Quote,
            ),
        ];
        for (name, line, expected) in cases {
            assert_eq!(parse(line), Err(expected), "case: {name}");
            assert!(!expected.to_string().contains("FAKE"), "case: {name}");
        }
    }

    proptest! {
        #[test]
        fn what_was_quoted_is_read_again(
            token in "[!-~&&[^\",|@]]{1,40}",
            user in "@[a-z0-9,\" ]{0,20}:[a-z.]{1,10}",
            device in "[ -~]{1,20}",
        ) {
            let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let line = format!("{},{},{}", quote(&token), quote(&user), quote(&device));
            let is_shown = |text: &str| text == token || !redact::find(text.as_bytes()).is_empty();
            // NULL, even in quotes: nobody's device is called so.
            let device = Some(device).filter(|device| device.as_bytes() != NULL);
            match parse(&line) {
                Ok(read) => prop_assert_eq!(read, Some((token, Some(user), device))),
                Err(why) => prop_assert!(
                    why == BadLine::SecondToken && (is_shown(&user) || device.as_deref().is_some_and(is_shown))
                        || why == BadLine::NoToken && token.as_bytes() == NULL
                ),
            }
        }

        #[test]
        fn no_line_shows_its_token(line in any::<Vec<u8>>()) {
            if let Ok(Some(columns)) = Columns::parse(&line, false) {
                let token = columns.token.as_ref();
                prop_assert!(token.iter().all(u8::is_ascii_graphic));
                for text in [&columns.user, &columns.device].into_iter().flatten() {
                    prop_assert!(!text.contains(char::is_control));
                    prop_assert_ne!(text.as_bytes(), token);
                }
            }
        }
    }
}
