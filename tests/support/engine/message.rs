//! Messages, read by a strict grammar.

/// A head and what belongs to it.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The request line or status line.
    pub start: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// How many chunks the body had.
    pub chunks: usize,
}

impl Message {
    pub fn parse(head: &[u8]) -> Result<Self, String> {
        let mut lines = head
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let bare = head
            .iter()
            .enumerate()
            .any(|(at, byte)| *byte == b'\n' && (at == 0 || head[at - 1] != b'\r'));
        if bare {
            return Err("bare line feed".into());
        }
        let start = text(lines.next().unwrap_or_default());
        let fields = lines.map(field).collect::<Result<_, _>>()?;
        Ok(Self {
            start,
            fields,
            ..Self::default()
        })
    }

    /// Every value of a field, whose name may be in any case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The one value of a field.
    #[track_caller]
    pub fn value(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} twice: {self:?}");
        values.first().copied()
    }

    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap()
    }

    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The Matrix error code of an answer of the shim's own.
    #[track_caller]
    pub fn errcode(&self) -> String {
        assert_eq!(
            self.value("content-type"),
            Some("application/json"),
            "{self:?}"
        );
        assert_eq!(self.value("access-control-allow-origin"), Some("*"));
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        json["errcode"].as_str().unwrap().to_owned()
    }

    /// What a strict server asks of a request.
    pub fn judge_request(&self) -> Result<(), String> {
        let parts: Vec<&str> = self.start.split(' ').collect();
        let [method, target, "HTTP/1.1"] = parts[..] else {
            return Err("request line".into());
        };
        let is_method = !method.is_empty() && method.bytes().all(is_token);
        let is_uri = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'<' | b'>');
        let is_target = target == "*" || target.starts_with('/');
        if !is_method || !is_target || !target.bytes().all(is_uri) {
            return Err("request line".into());
        }
        let hosts = self.values("host");
        let is_host = |host: &str| {
            !host.is_empty()
                && !host
                    .bytes()
                    .any(|byte| matches!(byte, b'@' | b'/' | b',' | b' ' | b'?' | b'\\'))
        };
        if hosts.len() != 1 || !is_host(hosts[0]) {
            return Err("host".into());
        }
        let (lengths, codings) = (
            self.values("content-length"),
            self.values("transfer-encoding"),
        );
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_framed = lengths.len() + codings.len() < 2
            && lengths.iter().all(|length| is_number(length))
            && codings.iter().all(|coding| *coding == "chunked");
        if !is_framed {
            return Err("framing".into());
        }
        let for_one_hop = ["keep-alive", "proxy-connection", "proxy-authorization"];
        if for_one_hop.iter().any(|name| !self.values(name).is_empty()) {
            return Err("field of another hop".into());
        }
        let options = self.values("connection");
        let is_named = |field: &str| self.values(field).is_empty() || options == [field];
        if !is_named("Upgrade") || !is_named("TE") || options.len() > 1 {
            return Err("connection".into());
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub fn field(line: &[u8]) -> Result<(String, String), String> {
    let colon = line.iter().position(|&byte| byte == b':');
    let (name, value) = line.split_at(colon.ok_or("no colon")?);
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
        return Err("field name".into());
    }
    let value = value[1..].trim_ascii();
    if value
        .iter()
        .any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
    {
        return Err("field value".into());
    }
    Ok((text(name), text(value)))
}
