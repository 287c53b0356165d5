//! What can change while we run: the settings of requests, and certificates.
//!
//! Everything is read and checked before anything is replaced, so that a bad
//! file changes nothing. What only a restart can change is named.

use std::{fmt::Write as _, sync::Arc};

use tokio::sync::watch;

use super::administration::DefaultUpstream;
use crate::{
    config::{Config, Listen, Route, Upstream},
    diagnostics::Masks,
    door::Door,
    exit::Failure,
    metrics::{Registry, Reload},
    relocate::Policy,
    settings::Settings,
    tls,
};

/// The configuration in effect, and what was made of it.
pub(super) struct Reloadable {
    /// As it was at the start: listeners and threads are still what it says.
    started: Config,
    config: Config,
    settings: Arc<Settings>,
    masks: Masks,
    registry: Arc<Registry>,
    upstream: watch::Sender<Option<Upstream>>,
    /// There if a listener wants it.
    tls: Option<Arc<tls::Server>>,
}

impl Reloadable {
    pub(super) fn new(
        config: Config,
        settings: Arc<Settings>,
        masks: Masks,
        registry: Arc<Registry>,
    ) -> Result<Self, Failure> {
        let tls = listeners_tls(&config)?;
        if let Some(tls) = &tls {
            report_objections(tls);
        }
        report_query_tokens(&config);
        Ok(Self {
            upstream: watch::Sender::new(default_upstream(&config)),
            registry,
            started: config.clone(),
            config,
            settings,
            masks,
            tls,
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Where requests go that no route names; changes with a reload.
    pub(super) fn default_upstream(&self) -> DefaultUpstream {
        self.upstream.subscribe()
    }

    /// How connections of this listener begin.
    pub(super) fn door(&self, listen: &Listen) -> Door {
        Door {
            role: listen.role,
            tls: self.tls.clone().filter(|_| listen.tls),
            http2: listen.http2,
            proxy_protocol: listen.proxy_protocol,
        }
    }

    /// Where requests go, for people.
    pub(super) fn upstreams(&self) -> String {
        let mut text = String::new();
        for site in &self.settings.sites {
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}{}", site.upstream);
        }
        text
    }

    /// Reads everything anew; the new settings for the workers, if they are good.
    pub(super) fn reload(
        &mut self,
        load: impl Fn() -> Result<Config, Failure>,
    ) -> Option<Arc<Settings>> {
        match self.try_reload(load) {
            Ok(()) => {
                self.registry.reloaded(Reload::Ok);
                tracing::info!(upstream = %self.upstreams(), "configuration reloaded");
                Some(Arc::clone(&self.settings))
            }
            Err(error) => {
                self.registry.reloaded(Reload::Failed);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "configuration not reloaded, nothing has changed");
                None
            }
        }
    }

    fn try_reload(&mut self, load: impl Fn() -> Result<Config, Failure>) -> Result<(), Failure> {
        let config = load()?;
        let settings = Settings::new(&config, Some(&self.settings)).map_err(Failure::config)?;
        // The last step that can fail, and it changes nothing if it does.
        if let Some(tls) = &self.tls {
            tls.replace(&config.certificates, &config.tls)
                .map_err(Failure::config)?;
            report_objections(tls);
        }
        let fixed = fixed(&self.started, &config);
        if !fixed.is_empty() {
            tracing::warn!(
                settings = fixed.join(", "),
                "these settings differ from those in use, a restart is needed for them"
            );
        }
        report_query_tokens(&config);
        self.masks.replace(Arc::clone(&settings.redactor));
        self.upstream.send_replace(default_upstream(&config));
        self.settings = Arc::new(settings);
        self.config = config;
        Ok(())
    }

    /// Takes up certificates that have been renewed.
    pub(super) fn look_at_certificates(&self) {
        let Some(tls) = &self.tls else { return };
        match tls.look() {
            None | Some(Ok(tls::Changed::Nothing)) => {}
            Some(Ok(tls::Changed::Certificates)) => {
                tracing::info!("certificates reloaded");
                report_objections(tls);
            }
            Some(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "certificates have changed and cannot be used, keeping those from before");
            }
        }
    }
}

/// What clients will say about the certificates.
fn report_objections(tls: &tls::Server) {
    for objection in tls.objections() {
        tracing::warn!("{objection}");
    }
}

/// The routes whose tokens we write into URLs, since nobody else will say so.
fn report_query_tokens(config: &Config) {
    for route in &config.routes {
        if !Policy::from(&route.relocate).goes_to_query() {
            continue;
        }
        let host = route.host.as_ref().map(ToString::to_string);
        tracing::warn!(
            host,
            path = route.path,
            upstream = %route.upstream,
            "tokens go to this upstream in URLs, as to-query says: whatever logs its requests has them"
        );
    }
}

fn default_upstream(config: &Config) -> Option<Upstream> {
    let is_default = |route: &&Route| route.host.is_none() && route.path.is_none();
    let route = config.routes.iter().find(is_default)?;
    Some(route.upstream.clone())
}

/// The certificates, if a listener wants any.
pub(super) fn listeners_tls(config: &Config) -> Result<Option<Arc<tls::Server>>, Failure> {
    if !config.listen.iter().any(|listen| listen.tls) {
        return Ok(None);
    }
    let server = tls::Server::new(&config.certificates, &config.tls).map_err(Failure::config)?;
    Ok(Some(Arc::new(server)))
}

/// The settings that differ and cannot change while we run.
fn fixed(before: &Config, after: &Config) -> Vec<&'static str> {
    let differs = [
        ("listen", before.listen != after.listen),
        ("workers", before.workers != after.workers),
        ("admin.listen", before.admin != after.admin),
        (
            "access_log.format",
            before.access_log.format != after.access_log.format,
        ),
        (
            "access_log.file",
            before.access_log.file != after.access_log.file,
        ),
        ("log", before.log != after.log),
    ];
    differs
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
}
