//! Texts that nobody would write.

use proptest::prelude::*;
use tokenshim::config::{Flags, keys};

use super::{LEAST, from_all, from_file};

/// Lines that come near a configuration, most of them wrong in some way.
fn nearly_a_line() -> impl Strategy<Value = String> {
    let names = keys()
        .flat_map(|key| key.split('.'))
        .chain(["head.x", "'a b'", "", "timeuots"]);
    let name = prop::sample::select(names.collect::<Vec<_>>());
    let values = "'10s' 0 [] {} true [[1]] 'unix:/a' 1979-05-27 \"é 0660 inf".split(' ');
    let value = prop_oneof![
        prop::sample::select(values.map(str::to_owned).collect::<Vec<_>>()),
        "\"\\PC{0,8}\"",
        "[-+0-9a-z_.\\[\\]{}\"]{0,8}",
    ];
    prop_oneof![
        8 => (name.clone(), value).prop_map(|(name, value)| format!("{name} = {value}")),
        2 => name.clone().prop_map(|name| format!("[{name}]")),
        2 => name.prop_map(|name| format!("[[{name}]]")),
        1 => "\\PC{0,20}",
    ]
}

fn duration() -> impl Strategy<Value = String> {
    (
        1_u32..86_400,
        prop::sample::select(vec!["ns", "us", "ms", "s", "m"]),
    )
        .prop_map(|(number, unit)| format!("{number}{unit}"))
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), name in "\\PC{0,20}", value in any::<String>()) {
        let variable = format!("TOKENSHIM_{name}");
        let environment = [(variable.as_str(), value.as_str()), ("TOKENSHIM_UPSTREAM", value.as_str())];
        let flags = Flags { listen: vec![value.clone()], upstream: Some(value.clone()) };
        let _ = from_all(&text, &environment, flags);
    }

    #[test]
    fn each_problem_is_one_printable_line(lines in prop::collection::vec(nearly_a_line(), 0..12)) {
        match from_file(&lines.join("\n")) {
            Ok(config) => prop_assert_eq!(from_file(&config.to_toml()), Ok(config)),
            Err(problems) => {
                prop_assert!(problems.iter().count() > 0);
                for problem in problems.iter() {
                    let line = problem.to_string();
                    prop_assert!(line.starts_with("tokenshim.toml:"), "{}", line);
                    prop_assert!(!line.contains(char::is_control), "{:?}", line);
                }
            }
        }
    }

    #[test]
    fn what_is_printed_loads_to_the_same(
        (head, tunnel) in (duration(), duration()),
        workers in 1_u32..=1024,
        parameters in prop::collection::vec("[-!-$'-+./0-9:<>-~]{1,12}", 1..=16),
        nets in prop::collection::vec(any::<std::net::IpAddr>(), 0..4),
        (file, seconds) in ("[^\\x00]{1,20}", -999_999_999_999_999_i64..=999_999_999_999_999),
        mode in 0_u32..=0o777,
    ) {
        let nets: Vec<_> = nets.iter().map(ToString::to_string).collect();
        let environment = [
            ("TOKENSHIM_TIMEOUTS__HEAD", head.as_str()),
            ("TOKENSHIM_TIMEOUTS__TUNNEL", &tunnel),
            ("TOKENSHIM_WORKERS", &workers.to_string()),
            ("TOKENSHIM_RELOCATE__PARAMETERS", &parameters.join(",")),
            ("TOKENSHIM_TRUSTED_PROXIES", &nets.join(",")),
            ("TOKENSHIM_ACCESS_LOG__FILE", &file),
            ("TOKENSHIM_RELOCATE__DEPRECATION", &format!("@{seconds}")),
        ];
        let text = format!("{LEAST}[[listen]]\naddress = \"unix:/run/x\"\nmode = \"{mode:04o}\"\n");
        let config = from_all(&text, &environment, Flags::default());
        let config = config.map_err(|problems| TestCaseError::fail(problems.to_string()))?;
        let printed = config.to_toml();
        prop_assert_eq!(from_file(&printed), Ok(config), "{}", printed);
    }
}
