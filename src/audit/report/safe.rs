//! What others wrote, made harmless for the place it is shown in.

/// Text for a terminal or a log: characters that move the cursor, or turn the direction of
/// reading, are shown by their number.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

pub(super) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A cell that no spreadsheet takes for a formula, also if it splits lines where others do
/// not: in much of Europe at `;`.
pub(super) fn cell(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut is_start = true;
    for character in plain(text).chars() {
        match character {
            ';' | '|' => is_start = true,
            // Some strip these first.
            ' ' | '"' => {}
            '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' if is_start => {
                shown.push('\'');
                is_start = false;
            }
            _ => is_start = false,
        }
        shown.push(character);
    }
    shown
}

/// A file as one word of a shell command.
pub(in crate::audit) fn shell(file: &str) -> String {
    // A name that looks like an option is none behind `./`.
    if file.starts_with('-') && file != "-" {
        quoted(&format!("./{file}"))
    } else {
        quoted(file)
    }
}

/// One word of a shell command, as it is.
pub(in crate::audit) fn quoted(word: &str) -> String {
    let is_harmless = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b'-' | b':' | b'@')
    };
    if !word.is_empty() && !word.starts_with('-') && word.bytes().all(is_harmless) {
        return word.to_owned();
    }
    if word.chars().any(is_invisible) {
        let escaped = word.bytes().map(|byte| match byte {
            b'\'' | b'\\' => format!("\\{}", char::from(byte)),
            b' '..=b'~' => char::from(byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        });
        return format!("$'{}'", escaped.collect::<String>());
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// At most `width` characters; the last says that there were more.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// `1,234,567`, since long numbers are read by threes.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len().saturating_mul(2));
    for (rest, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        shown.push(digit);
        if rest > 0 && rest % 3 == 0 {
            shown.push(',');
        }
    }
    shown
}

/// `1.2 GB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes / 100;
    let mut unit = "kB";
    for name in UNITS {
        unit = name;
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal() {
        let cases = [
            ("plain", "access.log", "access.log"),
            ("colours", "a\x1b[31mb", "a\\u{1b}[31mb"),
            ("a line of its own", "a\nb\r", "a\\u{a}b\\u{d}"),
            ("right to left", "a\u{202e}gol", "a\\u{202e}gol"),
            ("other letters stay", "größe-日本", "größe-日本"),
        ];
        for (name, text, expected) in cases {
            assert_eq!(plain(text), expected, "case: {name}");
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        let cases = [
            ("in the middle", "a=b", "a=b"),
            ("a control character", "\t=1", "\\u{9}=1"),
            ("behind a semicolon", "a;=1+1;b", "a;'=1+1;b"),
            ("and a blank", "a.log:1; -b.log:2", "a.log:1; '-b.log:2"),
            ("behind a bar", "a|@b", "a|'@b"),
            ("behind quotes", "a;\"=1", "a;\"'=1"),
            ("as wide as two", "＝1+1", "'＝1+1"),
        ];
        for (name, text, expected) in cases {
            assert_eq!(cell(text), expected, "case: {name}");
        }
    }

    #[test]
    fn a_shell_reads_the_name_back() {
        let cases = [
            (
                "plain",
                "/var/log/nginx/access.log.1",
                "/var/log/nginx/access.log.1",
            ),
            ("space", "my log", "'my log'"),
            ("a command", "$(reboot);'x'", r"'$(reboot);'\''x'\'''"),
            ("an option", "-rf", "./-rf"),
            ("nothing", "", "''"),
            ("a line break", "a\nb'", r"$'a\x0ab\''"),
        ];
        for (name, word, expected) in cases {
            assert_eq!(shell(word), expected, "case: {name}");
            let said = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {}", shell(word))])
                .output()
                .unwrap();
            let expected = if name == "an option" { "./-rf" } else { word };
            assert_eq!(said.stdout, expected.as_bytes(), "case: {name}");
        }
    }

    #[test]
    fn numbers_are_read_by_threes() {
        assert_eq!(number(7), "7");
        assert_eq!(number(1_234_567), "1,234,567");
        for (size, expected) in [
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_234_567_890, "1.2 GB"),
        ] {
            assert_eq!(bytes(size), expected);
        }
    }
}
