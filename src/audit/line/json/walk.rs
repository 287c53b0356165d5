//! Over the members of a JSON object and of the objects in it, without a tree.

use std::ops::Range;

use smallvec::SmallVec;

use crate::audit::line::cursor::{Cursor, string_end};

/// Objects in objects; what is deeper is passed over.
const DEEPEST: usize = 16;

/// A string or other scalar, under its name.
pub(super) struct Member {
    /// The name of the object around, empty at the top; the name alone, without its own
    /// parents.
    pub(super) parent: Range<usize>,
    pub(super) name: Range<usize>,
    /// Without the quotes.
    pub(super) value: Range<usize>,
    pub(super) is_text: bool,
}

/// Iterator over members, in order; elements of an array have the array's name.
pub(super) struct Walk<'l> {
    cursor: Cursor<'l>,
    /// What is open, each with its own name.
    open: SmallVec<[Open; 4]>,
    /// The name in front of the value that comes.
    name: Range<usize>,
    is_behind_colon: bool,
}

struct Open {
    name: Range<usize>,
    is_array: bool,
}

impl<'l> Walk<'l> {
    /// `start` is at the brace.
    pub(super) fn new(start: Cursor<'l>) -> Self {
        Self {
            cursor: start,
            open: SmallVec::new(),
            name: 0..0,
            is_behind_colon: false,
        }
    }

    fn member(&mut self, value: Range<usize>, is_text: bool) -> Option<Member> {
        self.is_behind_colon = false;
        let (around, name) = match self.open.split_last() {
            Some((last, around)) if last.is_array => (around.last(), last.name.clone()),
            Some((last, _)) => (Some(last), self.name.clone()),
            None => return None,
        };
        let parent = around.map(|open| open.name.clone()).unwrap_or_default();
        (!name.is_empty()).then_some(Member {
            parent,
            name,
            value,
            is_text,
        })
    }

    fn push(&mut self, is_array: bool) {
        // An object in an array is called as the array is.
        let name = match self.open.last() {
            Some(last) if last.is_array => last.name.clone(),
            Some(_) => std::mem::take(&mut self.name),
            None => 0..0,
        };
        self.is_behind_colon = false;
        self.open.push(Open { name, is_array });
    }

    fn is_in_array(&self) -> bool {
        self.open.last().is_some_and(|open| open.is_array)
    }
}

impl Iterator for Walk<'_> {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        while let Some(byte) = self.cursor.rest().first() {
            let at = self.cursor.at();
            match byte {
                b'"' => {
                    let span =
                        at.saturating_add(1)..string_end(self.cursor.line(), at.saturating_add(1));
                    self.cursor.jump(span.end.saturating_add(1));
                    if !self.is_behind_colon && !self.is_in_array() {
                        self.name = span;
                        continue;
                    }
                    if let Some(member) = self.member(span, true) {
                        return Some(member);
                    }
                    continue;
                }
                b':' => self.is_behind_colon = true,
                b'{' | b'[' if self.open.len() >= DEEPEST => return None,
                b'{' => self.push(false),
                b'[' => self.push(true),
                b'}' | b']' => {
                    self.open.pop();
                    // Behind the object stands what belongs to nobody.
                    if self.open.is_empty() {
                        return None;
                    }
                }
                b',' => self.is_behind_colon = false,
                byte if byte.is_ascii_alphanumeric() || *byte == b'-' => {
                    let length = self
                        .cursor
                        .rest()
                        .iter()
                        .take_while(|byte| is_scalar(**byte));
                    let span = at..at.saturating_add(length.count());
                    self.cursor.jump(span.end);
                    if (self.is_behind_colon || self.is_in_array())
                        && let Some(member) = self.member(span, false)
                    {
                        return Some(member);
                    }
                    continue;
                }
                _ => {}
            }
            self.cursor.forward(1);
        }
        None
    }
}

fn is_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}
