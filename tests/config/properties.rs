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

/// One of a few lines, or none of them.
fn perhaps(lines: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![1 => Just(""), 2 => prop::sample::select(lines)]
}

/// A listener; `number` keeps its address from being there twice.
fn listener(number: usize) -> impl Strategy<Value = String> {
    let unix = (
        perhaps(&["mode = '0600'\n", "mode = '777'\n"]),
        perhaps(&["owner = 'a:b'\n", "owner = ':33'\n", "owner = ''\n"]),
    );
    let address = prop_oneof![
        Just(format!("address = '[::1]:{}'\n", number.saturating_add(1))),
        Just(format!("address = 'fd:a{number}'\n")),
        unix.prop_map(move |(mode, owner)| format!("address = 'unix:/{number}'\n{mode}{owner}")),
    ];
    let switches = (
        perhaps(&["tls = true\n", "tls = false\n"]),
        perhaps(&[
            "http2 = true\n",
            "http2 = false\n",
            "role = 'ext_authz'\n",
            "http2 = true\nrole = 'auth'\n",
        ]),
        perhaps(&["proxy_protocol = true\n"]),
    );
    (address, switches).prop_map(|(address, (tls, http2, proxy_protocol))| {
        let is_proxy = !http2.contains("role");
        let proxy_protocol = if is_proxy { proxy_protocol } else { "" };
        format!("[[listen]]\n{address}{tls}{http2}{proxy_protocol}")
    })
}

/// A route with a host or a path or both.
fn route() -> impl Strategy<Value = String> {
    let host = perhaps(&[
        "host = 'a.example'\n",
        "host = 'b.a.example'\n",
        "host = '*.Example'\n",
        "host = '*.a.example'\n",
        "host = '[::1]'\n",
    ]);
    let rest = (
        prop::sample::select(vec!["http://h", "https://h:1", "unix:/a"]),
        perhaps(&[
            "profile = 'generic'\n",
            "profile = 'appservice'\nlegacy_paths = true\n",
        ]),
        perhaps(&["parameters = ['t', 'u']\n"]),
        perhaps(&["repeated = 'first'\nconflict = 'query'\n"]),
        perhaps(&["form_body = 'refuse'\nopen = 'cut'\n"]),
        perhaps(&[
            "verify = 'off'\n",
            "verify = 'whoami'\nallow = ['admins', '@a:b:1']\n",
            "verify = 'introspect'\ndeny = ['a', '@*:b']\n",
            "verify = 'file'\nallow = []\n",
        ]),
        perhaps(&[
            "mode = 'refuse'\nclients = ['old/=relocate']\n",
            "refuse_after = '2027-01-31'\n",
            "clients = []\n",
        ]),
        perhaps(&["deprecation = '@-1'\n", "deprecation = ''\n"]),
        perhaps(&[
            "sunset = 'Thu, 31 Dec 2026 23:59:59 GMT'\n",
            "sunset = ''\n",
        ]),
    );
    let place = (host, "(path = '(/[a-c%]{1,2}){1,3}/{0,2}'\n)?")
        .prop_filter("for something", |(host, path)| {
            !(host.is_empty() && path.is_empty())
        });
    (place, rest).prop_map(|((host, path), rest)| {
        let (upstream, profile, parameters, repeated, form_body, verify, mode, deprecation, sunset) =
            rest;
        format!(
            "[[route]]\n{host}{path}upstream = '{upstream}'\n{profile}{parameters}{repeated}\
             {form_body}{verify}{mode}{deprecation}{sunset}"
        )
    })
}

/// Routes in some order, and the same in another one.
fn shuffled_routes() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let place = |route: &str| {
        let lines = route.lines().skip(1);
        let place: Vec<_> = lines.take_while(|line| !line.starts_with("up")).collect();
        place.join("\n").replace("/'", "'").replace("/'", "'")
    };
    prop::collection::vec(route(), 0..8).prop_flat_map(move |mut routes| {
        let mut seen = Vec::new();
        routes.retain(|route| {
            let is_new = !seen.contains(&place(route));
            seen.push(place(route));
            is_new
        });
        (Just(routes.clone()), Just(routes).prop_shuffle())
    })
}

/// All that the modes of routes need.
const VERIFY: &str = "[verify]\ntokens_file = '/t'\nhomeserver = 'http://h'\nclient_id = 'c'\n\
                      client_secret_file = 's'\nintrospection_endpoint = 'https://h/i'\n";

proptest! {
    #[test]
    fn tables_are_printed_and_loaded_to_the_same(
        listeners in (listener(0), listener(1), listener(2)),
        (routes, shuffled) in shuffled_routes(),
        common in perhaps(&["[relocate]\ndeprecation = '@7'\nopen = 'cut'\n"]),
        certificates in 1_usize..4,
        has_default in any::<bool>(),
    ) {
        let default = if has_default || routes.is_empty() { LEAST } else { "" };
        let listeners = [listeners.0, listeners.1, listeners.2].concat();
        let certificates = "[[certificate]]\nchain = '/c'\nkey = 'k'\n".repeat(certificates);
        let load = |routes: &[String]| {
            let text =
                [default, &listeners, &certificates, &routes.concat(), common, VERIFY].concat();
            from_file(&text).map_err(|problems| TestCaseError::fail(format!("{text}\n{problems}")))
        };
        let config = load(&routes)?;
        prop_assert_eq!(config.routes.len(), routes.len().saturating_add(usize::from(!default.is_empty())));
        prop_assert_eq!(&load(&shuffled)?, &config, "the order in the file means nothing");
        let printed = config.to_toml();
        let again = from_file(&printed);
        prop_assert_eq!(again.as_ref(), Ok(&config), "{}", printed);
    }

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
        (body_size, connections) in (any::<u64>(), 0_u32..=1_000_000_000),
        head_size in 1024_u32..=1 << 20,
    ) {
        let nets: Vec<_> = nets.iter().map(ToString::to_string).collect();
        let environment = [
            ("TOKENSHIM_TIMEOUTS__HEAD", head.as_str()),
            ("TOKENSHIM_TIMEOUTS__TUNNEL", &tunnel),
            ("TOKENSHIM_WORKERS", &workers.to_string()),
            ("TOKENSHIM_LIMITS__BODY_SIZE", &format!("{body_size}B")),
            ("TOKENSHIM_LIMITS__HEAD_SIZE", &format!("{head_size}B")),
            ("TOKENSHIM_LIMITS__CONNECTIONS", &connections.to_string()),
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
