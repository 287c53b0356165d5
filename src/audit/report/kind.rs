//! What a kind of secret is called by its issuer, and what helps against its leak.

/// What helps against the leak of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::audit) enum Remedy {
    /// A bridge's or the homeserver's own: new ones in the registration.
    Appservice,
    /// A password: a new one.
    Password,
    /// A session of a Matrix client: it is logged out.
    Session,
    /// A session of the authentication service: it is ended there.
    Mas,
    /// A line of the tokens file.
    Tokenshim,
    /// A client's own secret at an issuer: a new one.
    ClientSecret,
    /// Good once, or for minutes.
    ShortLived,
    /// Something else.
    Other,
}

/// What a kind begins with for everybody; nothing where issuers put nothing in front.
pub(in crate::audit) fn prefix_of(kind: &str) -> &'static str {
    match kind {
        "synapse_access" => "syt_",
        "synapse_refresh" => "syr_",
        "synapse_login" => "syl_",
        "synapse_macaroon" => "MDAx",
        "mas_access" => "mat_",
        "mas_refresh" => "mar_",
        "mas_compat_access" => "mct_",
        "mas_compat_refresh" => "mcr_",
        "mas_personal" => "mpt_",
        "tuwunel_refresh" => "refresh_",
        "tokenshim" => "tsh_",
        _ => "",
    }
}

pub(in crate::audit) fn remedy_of(kind: &str) -> Remedy {
    match kind {
        "appservice_as" | "appservice_hs" | "as_token" | "hs_token" => Remedy::Appservice,
        "synapse_login" | "login_token" | "code" | "device_code" => Remedy::ShortLived,
        "tokenshim" => Remedy::Tokenshim,
        "client_secret" => Remedy::ClientSecret,
        kind if kind.starts_with("mas_") => Remedy::Mas,
        kind if kind.starts_with("synapse_") => Remedy::Session,
        "tuwunel_refresh" | "access_token" | "refresh_token" | "authorization" => Remedy::Session,
        kind if kind.contains("password") => Remedy::Password,
        _ => Remedy::Other,
    }
}
