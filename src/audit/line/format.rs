//! The formats by name.

/// What wrote a line, or what it is wrapped in where nobody knows its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// nginx's and Apache's `combined`, with or without further columns; tokenshim's own.
    Combined,
    /// Apache's `common`.
    Common,
    /// A `log_format` that was given.
    Custom,
    /// nginx's error log.
    NginxError,
    /// Caddy's JSON.
    Caddy,
    /// Traefik's common log format.
    Traefik,
    /// Traefik's JSON.
    TraefikJson,
    /// HAProxy's `httplog`.
    Haproxy,
    /// Envoy's default.
    Envoy,
    /// Synapse.
    Synapse,
    /// Synapse's structured log.
    SynapseJson,
    /// Matrix Authentication Service.
    Mas,
    /// The load balancer of AWS.
    Alb,
    /// tokenshim's own JSON.
    TokenshimJson,
    /// JSON of something else.
    Json,
    /// A line behind a syslog prefix, or one of `journalctl -o short-iso`.
    Syslog,
    /// An entry of `journalctl -o json`.
    JournaldJson,
    /// A field of `journalctl -o export`.
    JournaldExport,
    /// A line of Docker's `json-file`.
    Docker,
    /// A line of a container's log as Kubernetes keeps it.
    Cri,
    /// Nobody understands it.
    #[default]
    Text,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Combined,
        Self::Common,
        Self::Custom,
        Self::NginxError,
        Self::Caddy,
        Self::Traefik,
        Self::TraefikJson,
        Self::Haproxy,
        Self::Envoy,
        Self::Synapse,
        Self::SynapseJson,
        Self::Mas,
        Self::Alb,
        Self::TokenshimJson,
        Self::Json,
        Self::Syslog,
        Self::JournaldJson,
        Self::JournaldExport,
        Self::Docker,
        Self::Cri,
        Self::Text,
    ];

    /// What reports call it. The names are an interface.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Common => "common",
            Self::Custom => "custom",
            Self::NginxError => "nginx-error",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
            Self::TraefikJson => "traefik-json",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Synapse => "synapse",
            Self::SynapseJson => "synapse-json",
            Self::Mas => "mas",
            Self::Alb => "aws-alb",
            Self::TokenshimJson => "tokenshim-json",
            Self::Json => "json",
            Self::Syslog => "syslog",
            Self::JournaldJson => "journald-json",
            Self::JournaldExport => "journald-export",
            Self::Docker => "docker",
            Self::Cri => "cri",
            Self::Text => "text",
        }
    }

    /// The format of that name: partial reports are read back.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The content counts, unless it is just text.
    pub(in crate::audit) fn within(self, envelope: Self) -> Self {
        if self == Self::Text { envelope } else { self }
    }
}
