//! The message about a name that is no setting: what there is, and what was probably meant.

use super::layer::Origin;
use super::setting::Setting;
use super::settings;
use crate::error::{Error, listed, nearest};

/// The name of a `--set` that is no setting.
pub fn unknown_name(name: &str, origin: &Origin) -> Error {
    match name.split_once('.') {
        Some((section, name)) if settings::is_section(section) => unknown_key(section, name, origin),
        Some((section, _)) => unknown_section(section, origin),
        None => match settings::meant(None, name) {
            Some(meant) => with_meant(origin.problem("unknown key").key(name), Some(meant), None),
            None => {
                let known = listed(settings::SETTINGS.iter().map(Setting::name));
                origin.problem(format!("unknown key; there are {known}")).key(name)
            }
        },
    }
}

/// A key that its section does not have.
pub fn unknown_key(section: &str, name: &str, origin: &Origin) -> Error {
    let message =
        format!("unknown key; section [{section}] has {}", listed(settings::of_section(section).map(Setting::name)));
    let problem = origin.problem(message).key(format!("{section}.{name}"));
    with_meant(problem, settings::meant(Some(section), name), Some(section))
}

/// A section that there is not.
pub fn unknown_section(section: &str, origin: &Origin) -> Error {
    let problem = origin.problem(format!("unknown section [{section}]; there are {}", listed(section_names())));
    match nearest(section, section_names()) {
        Some(near) => problem.hint(format!("did you mean [{near}]?")),
        None => problem,
    }
}

/// A key at the top of the file, above the first section.
pub fn outside_a_section(name: &str, origin: &Origin) -> Error {
    let problem = origin.problem("is outside the sections").key(name);
    match settings::find(name) {
        None if settings::is_section(name) => origin
            .problem(format!("`{name}` is a section"))
            .hint(format!("write [{name}] on a separate line, and its keys below it")),
        Some(setting) => problem.hint(format!("write it as `{}` in section [{}]", setting.name(), setting.section())),
        None => with_meant(problem, settings::meant(None, name), None),
    }
}

fn with_meant(problem: Error, meant: Option<&Setting>, section: Option<&str>) -> Error {
    let Some(setting) = meant else { return problem };
    problem.hint(match section {
        Some(section) if section == setting.section() => format!("did you mean `{}`?", setting.name()),
        Some(_) => format!("did you mean `{}` in section [{}]?", setting.name(), setting.section()),
        None => format!("did you mean `{}`?", setting.path),
    })
}

fn section_names() -> impl Iterator<Item = &'static str> {
    settings::SECTIONS.iter().map(|(section, _)| *section)
}
