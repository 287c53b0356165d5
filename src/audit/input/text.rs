//! Whether what is read is text at all.
//!
//! Nothing is found in what is compressed in a way that nobody knows, encrypted, or written
//! with two bytes for a letter. To call that clean would be wrong.

/// Bytes that are looked at, of each block.
const SAMPLE: usize = 2048;

/// So many NUL in a row, more than any encoding has in a letter, are a hole: who copies a log
/// and truncates it leaves one, and a machine that loses its power another.
const HOLE: usize = 4;

/// Fewer control characters are an accident.
const ACCIDENT: usize = 4;

/// Of how many bytes one may be a control character. Of random ones every tenth is, of text
/// in UTF-16 every second.
const RARE: usize = 16;

/// What there is to say of anything else.
pub(crate) const ODD: &str = "is not all text, or not in an encoding that is read here: \
                              secrets in such parts are not seen; unpack it, or convert it to UTF-8";

/// Whether a text begins as text does, in whatever letters.
pub(crate) fn is_likely(text: &[u8]) -> bool {
    let sample = text.get(..SAMPLE).unwrap_or(text);
    let controls = controls(sample);
    if controls < ACCIDENT {
        return true;
    }
    let holes = sample
        .chunk_by(|left, right| *left == 0 && *right == 0)
        .filter(|run| run.first() == Some(&0) && run.len() >= HOLE);
    let holes: usize = holes.map(<[u8]>::len).sum();
    let (controls, bytes) = (
        controls.saturating_sub(holes),
        sample.len().saturating_sub(holes),
    );
    controls < ACCIDENT || controls <= bytes / RARE
}

/// How many bytes are such that no line has them, in any of the encodings that leave ASCII
/// as it is. Groups are what compilers make vectors of.
fn controls(sample: &[u8]) -> usize {
    let count = |group: &[u8; 64]| {
        group.iter().fold(0_u8, |sum, byte| {
            sum.wrapping_add(u8::from(is_control(*byte)))
        })
    };
    let (groups, rest) = sample.as_chunks();
    let rest = rest.iter().filter(|byte| is_control(**byte)).count();
    let groups: usize = groups.iter().map(count).map(usize::from).sum();
    groups.saturating_add(rest)
}

fn is_control(byte: u8) -> bool {
    // Bell, backspace and escape are what programs write to terminals.
    let is_usual = (0x07..=0x0d).contains(&byte) || byte == 0x1b;
    byte < b' ' && !is_usual || byte == 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_text_from_what_hides_it() {
        let line = "192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET /größe HTTP/1.1\" 200 1\n";
        let utf16: Vec<u8> = line.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf32: Vec<u8> = line
            .chars()
            .flat_map(|letter| u32::from(letter).to_le_bytes())
            .collect();
        let mut random = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (random >> 56) as u8
        })
        .take(3000)
        .collect();
        let cases: [(&str, Vec<u8>, bool); 13] = [
            ("nothing", vec![], true),
            ("a line", line.into(), true),
            ("Latin-1", b"gr\xf6\xdfe \xe4\xf6\xfc".to_vec(), true),
            ("KOI8-R", vec![0xd4, 0xcb, 0xce, 0xc1, b' '], true),
            ("colours", b"\x1b[31mERROR\x1b[0m \x07".repeat(9), true),
            ("a hole", [&[0; 900][..], line.as_bytes()].concat(), true),
            ("nothing but a hole", vec![0; 5000], true),
            ("the end of a hole", vec![0; 9], true),
            ("NUL within", b"a\0b\0c\0".to_vec(), true),
            ("UTF-16", utf16, false),
            ("UTF-32", utf32, false),
            ("noise", noise.clone(), false),
            ("noise in a hole", [&[0; 900][..], &noise].concat(), false),
        ];
        for (name, text, expected) in cases {
            assert_eq!(is_likely(&text), expected, "case: {name}");
        }
    }
}
