//! The software behind a `User-Agent`, from a fixed set.

/// How a `User-Agent` begins, and whose that is. The first that fits counts, in any case.
const BEGINNINGS: [(&str, &str); 51] = [
    ("Element X", "element-x"),
    ("ElementX", "element-x"),
    ("Element Classic", "element"),
    ("Element", "element"),
    ("Riot", "element"),
    ("SchildiChat Next", "schildichat-next"),
    ("SchildiChatNext", "schildichat-next"),
    ("SchildiChat", "schildichat"),
    ("FluffyChat", "fluffychat"),
    ("Dart", "dart"),
    ("nheko", "nheko"),
    ("mtxclient", "nheko"),
    ("NeoChat", "neochat"),
    ("Quaternion", "quaternion"),
    ("libQuotient", "quotient"),
    ("Fractal", "fractal"),
    ("gomuks", "gomuks"),
    ("Cinny", "cinny"),
    ("WeeChat", "weechat"),
    ("Hydrogen", "hydrogen"),
    ("iamb", "iamb"),
    ("matrix-rust-sdk", "matrix-rust-sdk"),
    ("matrix-js-sdk", "matrix-js-sdk"),
    ("matrix-bot-sdk", "matrix-bot-sdk"),
    ("matrix-nio", "matrix-nio"),
    ("matrix-python-sdk", "matrix-python-sdk"),
    ("matrix-client", "matrix-python-sdk"),
    ("mautrix-python", "mautrix-python"),
    ("mautrix", "mautrix"),
    ("matrix-appservice", "matrix-appservice"),
    ("matrixctl", "matrixctl"),
    ("synadm", "synadm"),
    ("Synapse", "synapse"),
    ("Dendrite", "dendrite"),
    ("conduwuit", "conduit"),
    ("continuwuity", "conduit"),
    ("tuwunel", "conduit"),
    ("Conduit", "conduit"),
    ("matrix-authentication-service", "mas"),
    ("matrix-media-repo", "matrix-media-repo"),
    ("tokenshim", "tokenshim"),
    ("curl", "curl"),
    ("Wget", "wget"),
    ("python-requests", "python"),
    ("python", "python"),
    ("aiohttp", "python"),
    ("Go-http-client", "go"),
    ("okhttp", "okhttp"),
    ("node", "node"),
    ("axios", "node"),
    ("Java", "java"),
];

/// What a browser, or a program that is one, names somewhere. The first that fits counts.
const IN_BROWSERS: [(&str, &str); 12] = [
    ("Element/", "element-desktop"),
    ("SchildiChat", "schildichat-desktop"),
    ("Cinny", "cinny"),
    ("aiohttp/", "python"),
    ("Electron/", "electron"),
    ("bot", "crawler"),
    ("Bot", "crawler"),
    ("spider", "crawler"),
    ("Edg/", "edge"),
    ("Firefox/", "firefox"),
    ("Chrome/", "chrome"),
    ("Safari/", "safari"),
];

/// Further than this nobody names himself.
const LONGEST: usize = 512;

/// The software that sends this `User-Agent`: one of a fixed set, `none` or `other`.
#[must_use]
pub fn family_of(user_agent: &[u8]) -> &'static str {
    let text = user_agent.get(..LONGEST).unwrap_or(user_agent);
    if text.is_empty() || text == b"-" {
        return "none";
    }
    if text.starts_with(b"Mozilla/") {
        let named = IN_BROWSERS
            .iter()
            .find(|(name, _)| memchr::memmem::find(text, name.as_bytes()).is_some());
        return named.map_or("browser", |(_, family)| family);
    }
    let named = BEGINNINGS.iter().find(|(name, _)| {
        text.get(..name.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
    });
    named.map_or("other", |(_, family)| family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_clients() {
        let cases = [
            ("", "none"),
            ("-", "none"),
            ("Element/1.6.18 (Google Pixel 7; Android 14)", "element"),
            (
                "Element X/24.07.2 (iPhone14,5; iOS 17.5.1; Scale/3.00)",
                "element-x",
            ),
            ("Riot/0.9.12 (Nexus 5X)", "element"),
            (
                "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Element/1.11.71 Chrome/124.0 Electron/30.1.2 Safari/537.36",
                "element-desktop",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "firefox",
            ),
            (
                "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
                "safari",
            ),
            ("Mozilla/5.0", "browser"),
            (
                "mautrix-python/0.20.4 aiohttp/3.9.5 Python/3.12",
                "mautrix-python",
            ),
            ("mautrix-go/0.19.0 go/1.22.5", "mautrix"),
            ("matrix-nio/0.24.0", "matrix-nio"),
            ("Python/3.11 aiohttp/3.9.5", "python"),
            ("Synapse/1.111.0", "synapse"),
            ("curl/8.5.0", "curl"),
            ("<script>", "other"),
        ];
        for (user_agent, expected) in cases {
            assert_eq!(family_of(user_agent.as_bytes()), expected, "{user_agent}");
        }
    }

    #[test]
    fn a_longer_name_comes_before_its_beginning() {
        for (place, (name, _)) in BEGINNINGS.iter().enumerate() {
            let hidden = BEGINNINGS
                .iter()
                .take(place)
                .find(|(earlier, _)| name.to_lowercase().starts_with(&earlier.to_lowercase()));
            assert_eq!(hidden, None, "{name} is never reached");
        }
    }
}
