//! What to do next, with which every page opens.

use maud::{Markup, html};

use super::page::section;
use super::text::quoted;
use crate::report::next_steps::NextStep;

/// The id of the section.
pub(super) const NEXT: &str = "next";

/// The steps in their order; nothing where there are none.
pub(super) fn next_steps(steps: &[NextStep]) -> Markup {
    if steps.is_empty() {
        return html! {};
    }
    let content = html! {
        ol.steps {
            @for step in steps {
                li {
                    p { (quoted(&step.text)) }
                    @if let Some(command) = &step.command { pre.command tabindex="0" { (command) } }
                }
            }
        }
    };
    section(NEXT, "What to do next", html! {}, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_with_their_commands() {
        let steps = [NextStep::new("Label `a<b`.").command("rehead label"), NextStep::new("Rest.")];
        let drawn = next_steps(&steps).into_string();
        assert!(drawn.contains("a&lt;b") && drawn.contains("rehead label</pre>"), "{drawn}");
        assert_eq!(drawn.matches("<li>").count(), 2);
        assert!(next_steps(&[]).into_string().is_empty());
    }
}
