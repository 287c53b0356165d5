//! The settings that are one word out of a few.

use std::fmt;

/// A setting that is one word out of a few.
pub(super) trait Choice: Copy + fmt::Display + 'static {
    /// Every word there is, in the order of the documentation.
    const ALL: &'static [Self];
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$word_doc])* $word,)+
        }

        impl Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$word),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$word => $text,)+
                })
            }
        }
    )+};
}

choices! {
    /// Which API is behind.
    Profile {
        /// A Matrix homeserver: its endpoints decide what needs a token.
        Matrix = "matrix",
        /// Anything else: no endpoint is known, a missing token is not ours to refuse.
        Generic = "generic",
        /// An application service, such as a bridge: who calls is a homeserver.
        Appservice = "appservice",
    }

    /// How far clients have come on their way from the query to the header.
    Mode {
        /// Their tokens are moved.
        Relocate = "relocate",
        /// Nothing changes, and it is counted how many would be moved.
        Observe = "observe",
        /// A token that is in a URL or form only is refused, and they are told why.
        Refuse = "refuse",
    }

    /// Where an application service gets its token.
    TokenPlacement {
        /// In `Authorization`.
        ToHeader = "to-header",
        /// In the query, for those that read nothing else.
        ToQuery = "to-query",
    }

    /// Several different tokens in one query.
    Repeated {
        /// Answered with a 401.
        Refuse = "refuse",
        /// The first one counts.
        First = "first",
    }

    /// Different tokens in header and query.
    Conflict {
        /// Answered with a 401.
        Refuse = "refuse",
        /// The header stays, the query's is cut.
        Header = "header",
        /// The query's replaces the header.
        Query = "query",
    }

    /// A token in a form body.
    FormBody {
        /// Moved like one in the query.
        Relocate = "relocate",
        /// The body passes as it is.
        Forward = "forward",
        /// The request is refused.
        Refuse = "refuse",
    }

    /// A token sent to an endpoint that needs none.
    OpenEndpoints {
        /// Moved like any other.
        Move = "move",
        /// Dropped.
        Cut = "cut",
    }

    /// Who knows whether a token is one.
    VerifyMode {
        /// The homeserver behind: its own 401 is remembered.
        Learn = "learn",
        /// A homeserver, asked for each new token.
        Whoami = "whoami",
        /// An OAuth server, asked for each new token.
        Introspect = "introspect",
        /// A file.
        File = "file",
        /// Nobody.
        Off = "off",
    }

    /// What becomes of a request whose token nobody could say anything about.
    OnFailure {
        /// 503.
        Refuse = "refuse",
        /// It passes, without an identity.
        Forward = "forward",
    }

    /// What a listener is for.
    Role {
        /// Requests are forwarded.
        Proxy = "proxy",
        /// Another proxy asks whether a request may pass: nginx, Caddy, Traefik, Envoy by HTTP.
        Auth = "auth",
        /// Envoy asks by gRPC.
        ExtAuthz = "ext_authz",
    }

    /// What a connection to the upstream begins with.
    ProxyHeader {
        /// The request.
        Off = "off",
        /// A line of text that tells who the client is.
        V1 = "v1",
        /// The same, in bytes.
        V2 = "v2",
    }

    /// A version of TLS.
    TlsVersion {
        /// TLS 1.2.
        V1_2 = "1.2",
        /// TLS 1.3.
        V1_3 = "1.3",
    }

    /// Whether clients have to show a certificate.
    ClientCertificates {
        /// They are not asked for one.
        Off = "off",
        /// They are asked; one that is shown has to be right.
        Optional = "optional",
        /// Without one there is no connection.
        Required = "required",
    }

    /// How a line of the access log looks.
    AccessLogFormat {
        /// The format that nginx calls `combined`, and more behind it.
        Combined = "combined",
        /// One JSON object.
        Json = "json",
        /// No access log.
        Off = "off",
    }

    /// The least important message of the diagnostic log.
    LogLevel {
        /// Only what needs somebody now.
        Error = "error",
        /// And what may.
        Warn = "warn",
        /// And what happens to the process.
        Info = "info",
        /// And what happens to connections.
        Debug = "debug",
        /// And each step.
        Trace = "trace",
    }

    /// How a message of the diagnostic log looks.
    LogFormat {
        /// For people.
        Text = "text",
        /// For collectors.
        Json = "json",
    }
}
