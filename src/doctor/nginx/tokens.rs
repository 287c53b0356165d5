//! nginx's words, as nginx itself reads them: a comment and a quotation begin only where a
//! word could begin.

/// A word, without its quotes and escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// What it says.
    pub(super) text: String,
    /// Where it begins, from 1.
    pub(super) line: usize,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word.
    Word(Word),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// A token and the line it stands in.
pub(super) type Placed = (Token, usize);

/// What is wrong, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// From 1.
    pub(super) line: usize,
    /// What.
    pub(super) what: &'static str,
}

/// Reads all tokens.
///
/// # Errors
///
/// A quotation without its end. All before it is lost with it, as it is for nginx.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Broken> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
    };
    let mut found = Vec::new();
    // The word that the directive began with: Lua is not made of our words.
    let mut begun: Option<bool> = None;
    while let Some((token, line)) = reader.token()? {
        match &token {
            Token::Word(word) => {
                begun.get_or_insert(word.text.ends_with("_by_lua_block"));
            }
            Token::End | Token::Close => begun = None,
            Token::Open => {
                if begun.take() == Some(true) {
                    reader.skip_block()?;
                    found.push((Token::Open, line));
                    found.push((Token::Close, reader.line));
                    continue;
                }
            }
        }
        found.push((token, line));
    }
    Ok(found)
}

struct Reader<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line = self.line.saturating_add(1);
        }
        next
    }

    fn token(&mut self) -> Result<Option<Placed>, Broken> {
        loop {
            match self.rest.peek() {
                Some(blank) if is_blank(*blank) => {
                    self.next();
                }
                Some('#') => while self.next().is_some_and(|it| it != '\n') {},
                Some(_) => break,
                None => return Ok(None),
            }
        }
        let line = self.line;
        let token = match self.rest.peek() {
            Some(';') => Token::End,
            Some('{') => Token::Open,
            Some('}') => Token::Close,
            Some(quote @ ('"' | '\'')) => {
                let quote = *quote;
                self.next();
                return Ok(Some((self.quoted(quote, line)?, line)));
            }
            Some(_) | None => return Ok(Some((self.word(line), line))),
        };
        self.next();
        Ok(Some((token, line)))
    }

    fn quoted(&mut self, quote: char, line: usize) -> Result<Token, Broken> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => {
                    return Err(Broken {
                        line,
                        what: "a quotation without its end",
                    });
                }
                Some(end) if end == quote => return Ok(Token::Word(Word { text, line })),
                Some('\\') => self.escape(&mut text),
                Some(other) => text.push(other),
            }
        }
    }

    fn word(&mut self, line: usize) -> Token {
        let mut text = String::new();
        while let Some(next) = self.rest.peek().copied() {
            let is_variable = next == '{' && text.ends_with('$');
            if is_blank(next) || next == ';' || (next == '{' && !is_variable) {
                break;
            }
            self.next();
            match next {
                '\\' => self.escape(&mut text),
                other => text.push(other),
            }
        }
        Token::Word(Word { text, line })
    }

    /// Only quotes, blanks and the backslash itself lose theirs: the rest is for whoever
    /// reads the word, such as an expression.
    fn escape(&mut self, text: &mut String) {
        match self.next() {
            Some(plain @ ('"' | '\'' | '\\')) => text.push(plain),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('n') => text.push('\n'),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }

    /// Up to the brace that closes what was opened, past strings and comments of Lua.
    fn skip_block(&mut self) -> Result<(), Broken> {
        let line = self.line;
        let mut depth = 1_usize;
        while let Some(next) = self.next() {
            match next {
                '{' => depth = depth.saturating_add(1),
                '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(());
                    }
                }
                '-' if self.rest.peek() == Some(&'-') => {
                    while self.next().is_some_and(|it| it != '\n') {}
                }
                quote @ ('"' | '\'') => loop {
                    match self.next() {
                        Some('\\') => {
                            self.next();
                        }
                        Some(end) if end == quote => break,
                        Some(_) => {}
                        None => break,
                    }
                },
                _ => {}
            }
        }
        Err(Broken {
            line,
            what: "a block without its end",
        })
    }
}

const fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let shown = tokens(text).unwrap().into_iter().map(|(token, line)| {
            let token = match token {
                Token::Word(word) => format!("<{}>", word.text),
                Token::End => ";".into(),
                Token::Open => "{".into(),
                Token::Close => "}".into(),
            };
            format!("{line}{token}")
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn reads_as_nginx_does() {
        let rows = [
            ("simple", "a b;", "1<a> 1<b> 1;"),
            ("comment", "a # b;\n;", "1<a> 2;"),
            ("no comment within a word", "a b#c;", "1<a> 1<b#c> 1;"),
            ("quotes", r#"a "b c;" 'd"e';"#, "1<a> 1<b c;> 1<d\"e> 1;"),
            ("a quote within a word", "a b\"c;", "1<a> 1<b\"c> 1;"),
            ("escapes", r#"a "b\"c\d\\";"#, r#"1<a> 1<b"c\d\> 1;"#),
            ("variable in braces", "a ${b}c;", "1<a> 1<${b}c> 1;"),
            ("block", "a b {\nc;\n}", "1<a> 1<b> 1{ 2<c> 2; 3}"),
            ("brace ends a word", "a{b;}", "1<a> 1{ 1<b> 1; 1}"),
            (
                "Lua is passed over",
                "x_by_lua_block { if a == '}' then b({}) end -- }\n} c;",
                "1<x_by_lua_block> 1{ 2} 2<c> 2;",
            ),
        ];
        for (name, text, expected) in rows {
            assert_eq!(shown(text), expected, "{name}");
        }
    }

    #[test]
    fn names_the_line_of_a_quotation_without_end() {
        let broken = tokens("a;\nb 'c\nd;").unwrap_err();
        assert_eq!(broken.line, 2);
    }
}
