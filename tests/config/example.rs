//! The example file, and the file that `print-config` writes.

use tokenshim::config::keys;
use toml::de::{DeTable, DeValue};

use super::{LEAST, from_file};

const EXAMPLE: &str = include_str!("../../config/tokenshim.example.toml");

const TABLES: [&str; 3] = ["listen", "certificate", "route"];

/// Every key of a file, as `keys` writes them.
fn keys_in(text: &str) -> Vec<String> {
    fn walk(table: &DeTable<'_>, section: &str, found: &mut Vec<String>) {
        for (name, value) in table {
            let path = format!("{section}{}", name.get_ref());
            match value.get_ref() {
                DeValue::Table(table) => walk(table, &format!("{path}."), found),
                DeValue::Array(items) if TABLES.contains(&path.as_str()) => {
                    found.push(path.clone());
                    let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                    tables.for_each(|table| walk(table, &format!("{path}."), found));
                }
                _ => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk(DeTable::parse(text).unwrap().get_ref(), "", &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

/// A commented setting begins with `#` and no space; its neighbours belong to it.
fn is_commented_setting(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|rest| rest.starts_with(|first: char| !first.is_whitespace()))
}

/// The example with everything uncommented.
fn with_everything() -> String {
    let uncomment = |line| {
        if is_commented_setting(line) {
            &line[1..]
        } else {
            line
        }
    };
    let lines: Vec<&str> = EXAMPLE.lines().map(uncomment).collect();
    lines.join("\n")
}

#[test]
fn the_example_is_the_defaults() {
    assert_eq!(
        from_file(EXAMPLE).expect("the example"),
        from_file(LEAST).unwrap()
    );
}

#[test]
fn the_example_has_every_key() {
    let whole = with_everything();
    from_file(&whole).expect("the example with everything uncommented");
    let mut expected: Vec<_> = keys().collect();
    expected.sort_unstable();
    assert_eq!(keys_in(&whole), expected);
}

#[test]
fn each_commented_setting_of_the_example_loads_alone() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let mut tried = 0;
    for block in
        lines.chunk_by(|one, other| is_commented_setting(one) && is_commented_setting(other))
    {
        if !is_commented_setting(block[0]) {
            continue;
        }
        tried += 1;
        let active: Vec<&str> = block.iter().map(|line| &line[1..]).collect();
        let text = EXAMPLE.replace(&block.join("\n"), &active.join("\n"));
        from_file(&text).expect(block[0]);
        assert!(
            keys_in(&text).len() > keys_in(EXAMPLE).len(),
            "{block:?} adds nothing"
        );
    }
    assert_eq!(tried, 19);
}

#[test]
fn prints_every_key_and_reads_it_back() {
    let mut expected: Vec<_> = keys().collect();
    expected.sort_unstable();
    let odd = "upstream = \"unix:/a \\\"b\\\"\\\\\\u007f\"\nworkers = 0x10\n\
               [[listen]]\naddress = \"unix:/x\"\nmode = \"007\"\n[access_log]\nfile = \"/tmp/\\té\"\n\
               [[certificate]]\nchain = \"/ \\\"\"\nkey = \"/é\"\n\
               [[route]]\npath = \"/\\\"\\\\'\"\nupstream = \"unix:/\\n\"\n";
    let whole = with_everything();
    for text in [EXAMPLE, odd, &whole] {
        let config = from_file(text).unwrap();
        let printed = config.to_toml();
        assert_eq!(from_file(&printed).expect(&printed), config);
    }
    assert_eq!(keys_in(&from_file(&whole).unwrap().to_toml()), expected);
}
