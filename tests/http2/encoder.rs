//! A client's HPACK encoder, which spells things as it is told (RFC 7541).

/// How long each byte's Huffman code is, as a letter from `a` for 5.
const LENGTHS: &[u8; 256] = b"isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibccccccccccccccccccccccdcdioijbkabababbbaccbbbabcbaabccccckgjixprpprrrsrssssststtrstssssqrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrsvvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrruuttvsvwvvwwwwwxwwwwwv";

/// The code of each byte and its length.
fn codes() -> Vec<(u32, u32)> {
    let mut order: Vec<usize> = (0..256).collect();
    order.sort_by_key(|&byte| LENGTHS[byte]);
    let mut codes = vec![(0, 0); 256];
    let (mut next, mut length) = (0_u32, 0);
    for byte in order {
        let own = u32::from(LENGTHS[byte] - b'a') + 5;
        next <<= own - length;
        length = own;
        codes[byte] = (next, own);
        next += 1;
    }
    codes
}

fn huffman(text: &[u8]) -> Vec<u8> {
    let codes = codes();
    let (mut out, mut held, mut count) = (Vec::new(), 0_u64, 0);
    for &byte in text {
        let (code, length) = codes[usize::from(byte)];
        held = held << length | u64::from(code);
        count += length;
        while count >= 8 {
            count -= 8;
            out.push(u8::try_from(held >> count & 0xff).unwrap());
        }
    }
    if count > 0 {
        out.push(u8::try_from((held << (8 - count) | 0xff >> count) & 0xff).unwrap());
    }
    out
}

fn push_integer(out: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
    let most = (1_usize << prefix) - 1;
    if value < most {
        out.push(first | u8::try_from(value).unwrap());
        return;
    }
    out.push(first | u8::try_from(most).unwrap());
    let mut rest = value - most;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

fn push_text(out: &mut Vec<u8>, text: &[u8], is_compressed: bool) {
    if is_compressed {
        let text = huffman(text);
        push_integer(out, 0x80, 7, text.len());
        out.extend(text);
    } else {
        push_integer(out, 0, 7, text.len());
        out.extend(text);
    }
}

/// How one field is spelt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spelling {
    /// Whether to name a whole entry of the dynamic table, if there is one.
    pub(crate) is_indexed: bool,
    /// 0 for a name of the static table, 1 for one of the dynamic, if they have
    /// it, 2 to spell it out.
    pub(crate) name: u8,
    /// 0 for entering the table, 1 for not, 2 for never.
    pub(crate) keeping: u8,
    pub(crate) is_compressed: bool,
}

/// The encoder with its table.
pub(crate) struct Encoder {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    most: usize,
}

impl Encoder {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            most: 4096,
        }
    }

    /// Tells a new size of the table.
    pub(crate) fn resize(&mut self, out: &mut Vec<u8>, most: usize) {
        push_integer(out, 0x20, 5, most);
        self.most = most;
        self.evict(0);
    }

    fn evict(&mut self, room: usize) {
        let size = |entries: &[(Vec<u8>, Vec<u8>)]| -> usize {
            let sizes = entries
                .iter()
                .map(|(name, value)| name.len() + value.len() + 32);
            sizes.sum()
        };
        while !self.entries.is_empty() && size(&self.entries) + room > self.most {
            self.entries.pop();
        }
    }

    pub(crate) fn push(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8], how: Spelling) {
        let whole = (self.entries.iter()).position(|entry| entry.0 == name && entry.1 == value);
        if let (true, Some(at)) = (how.is_indexed, whole) {
            push_integer(out, 0x80, 7, at + 62);
            return;
        }
        let known = match how.name {
            0 => [
                (&b":authority"[..], 1),
                (b":method", 2),
                (b":path", 4),
                (b":scheme", 6),
            ]
            .iter()
            .find_map(|(known, index)| (*known == name).then_some(*index)),
            1 => (self.entries.iter())
                .position(|entry| entry.0 == name)
                .map(|at| at + 62),
            _ => None,
        };
        let (first, prefix) = [(0x40, 6), (0, 4), (0x10, 4)][usize::from(how.keeping)];
        push_integer(out, first, prefix, known.unwrap_or(0));
        if known.is_none() {
            push_text(out, name, how.is_compressed);
        }
        push_text(out, value, how.is_compressed);
        if how.keeping == 0 {
            let size = name.len() + value.len() + 32;
            self.evict(size);
            if size <= self.most {
                self.entries.insert(0, (name.to_vec(), value.to_vec()));
            }
        }
    }
}
