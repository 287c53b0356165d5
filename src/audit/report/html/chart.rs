//! Bars without text in them: the page scales them, and words stay as large as they are.

use maud::{Markup, html};

use crate::audit::report::safe::{number, plain};

/// What a bar is made of, the worst first.
pub(super) const PARTS: [&str; 3] = ["accepted", "unproven", "refused"];

/// One bar of several parts.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    /// As in [`PARTS`].
    pub(super) parts: [u64; 3],
}

impl Bar {
    pub(super) fn sum(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(*part))
    }

    fn title(&self) -> String {
        let parts = PARTS.iter().zip(self.parts);
        let parts: Vec<String> = parts
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{} {name}", number(count)))
            .collect();
        format!("{}: {}", plain(&self.label), parts.join(", "))
    }
}

/// Upright bars, side by side.
pub(super) fn columns(name: &str, bars: &[Bar]) -> Markup {
    let most = bars.iter().map(Bar::sum).max().unwrap_or_default();
    let width = bars.len().saturating_mul(10).max(10);
    html! {
        svg.plot role="img" aria-label=(name) viewBox={ "0 0 " (width) " 1000" } preserveAspectRatio="none" {
            @for (place, bar) in bars.iter().enumerate() {
                @let x = place.saturating_mul(10).saturating_add(1);
                g {
                    title { (bar.title()) }
                    @for (class, y, height) in stack(bar, most, 1000) {
                        rect class=(class) x=(x) y=(1000_u64.saturating_sub(y).saturating_sub(height)) width="8" height=(height) {}
                    }
                }
            }
            path.base d={ "M0 1000H" (width) } vector-effect="non-scaling-stroke" {}
        }
    }
}

/// One bar that lies, as long as its share of the longest.
pub(super) fn lying(bar: &Bar, most: u64) -> Markup {
    html! {
        svg.bar role="img" aria-label=(bar.title()) viewBox="0 0 1000 10" preserveAspectRatio="none" {
            title { (bar.title()) }
            @for (class, x, length) in stack(bar, most, 1000) {
                rect class=(class) x=(x) y="0" width=(length) height="10" {}
            }
        }
    }
}

pub(super) fn key() -> Markup {
    html! {
        ul.key {
            @for part in PARTS {
                li { svg viewBox="0 0 1 1" aria-hidden="true" { rect class=(part) width="1" height="1" {} } (part) }
            }
        }
    }
}

/// Where each part begins and how long it is, if `most` is `length`. What is there is seen.
fn stack(bar: &Bar, most: u64, length: u64) -> Vec<(&'static str, u64, u64)> {
    let mut from = 0_u64;
    let mut stack = Vec::new();
    for (part, count) in PARTS.into_iter().zip(bar.parts) {
        let share = u128::from(count).saturating_mul(length.into());
        let share = share.checked_div(most.into()).unwrap_or_default();
        let share = u64::try_from(share)
            .unwrap_or(length)
            .max(u64::from(count > 0).saturating_mul(4));
        if share > 0 {
            stack.push((part, from, share));
        }
        from = from.saturating_add(share);
    }
    stack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_on_each_other() {
        let bar = |parts| Bar {
            label: "day".to_owned(),
            parts,
        };
        assert_eq!(
            stack(&bar([50, 0, 50]), 200, 1000),
            [("accepted", 0, 250), ("refused", 250, 250)]
        );
        assert_eq!(
            stack(&bar([0, 1, 0]), 1_000_000, 1000),
            [("unproven", 0, 4)],
            "seen at all"
        );
        assert_eq!(stack(&bar([0, 0, 0]), 0, 1000), []);
        assert_eq!(
            stack(&bar([u64::MAX, 0, 0]), u64::MAX, 1000),
            [("accepted", 0, 1000)]
        );
    }
}
