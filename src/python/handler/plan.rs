//! What a handler needs, as `ziggurat.params` found it out.

use serde::Deserialize;

use super::scalar::{Kind, Rule};
use crate::ConfigError;
use crate::service::{PathTemplate, Requirement};

/// The plan as Python writes it.
#[derive(Debug, Deserialize)]
pub(in crate::python) struct Plan {
    pub(in crate::python) name: String,
    pub(in crate::python) location: String,
    #[serde(rename = "async")]
    pub(super) is_async: bool,
    pub(super) args: Vec<Arg>,
    pub(super) keywords: Vec<String>,
    pub(super) params: Vec<Param>,
    pub(super) body: Option<BodyPlan>,
    pub(super) status: u16,
    pub(in crate::python) auth: Option<Vec<Requirement>>,
    /// Its handlers of exceptions, among the app's.
    #[serde(default)]
    pub(in crate::python) catch: Option<usize>,
    /// What makes JSON of what it returns, among the plan's objects; none leaves it to our own encoder.
    #[serde(default)]
    pub(super) write: Option<usize>,
}

/// What stands at one place of the call.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Arg {
    Request,
    Body,
    /// What the handler says beside what it returns.
    Response,
    /// What it wants to run behind its answer.
    Background,
    Param(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    Path,
    Query,
    Header,
}

/// A scalar or a list of scalars.
#[derive(Debug, Deserialize)]
pub(super) struct Param {
    pub(super) alias: String,
    pub(super) source: Source,
    pub(super) kind: Kind,
    pub(super) many: bool,
    /// Index of the default among the plan's objects; a parameter without one is required.
    pub(super) default: Option<usize>,
    /// Text of an Enum's members, and where each is among the plan's objects.
    #[serde(default)]
    pub(super) members: Vec<(String, usize)>,
    #[serde(flatten)]
    pub(super) rule: Rule,
    /// Where it stands in the path template.
    #[serde(skip)]
    pub(super) position: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct BodyPlan {
    /// Index of `validate_json` among the plan's objects.
    pub(super) validate: usize,
    pub(super) default: Option<usize>,
}

impl Plan {
    /// Reads a plan for a handler at `path`.
    ///
    /// # Errors
    /// When the path is not a template, or the plan does not fit it.
    pub(in crate::python) fn parse(json: &str, path: &str) -> Result<Self, ConfigError> {
        let mut plan: Self = serde_json::from_str(json)
            .map_err(|error| ConfigError::new(format!("a handler's plan is broken: {error}")))?;
        let template = PathTemplate::parse(path).map_err(|error| error.at_if_known(&plan.location))?;
        for param in plan.params.iter_mut().filter(|param| param.source == Source::Path) {
            let position = template.names().iter().position(|name| **name == *param.alias);
            param.position = position.ok_or_else(|| {
                ConfigError::new(format!("the path {path} has no parameter {:?}", param.alias))
                    .at_if_known(&plan.location)
            })?;
        }
        Ok(plan)
    }

    pub(super) fn needs_request(&self) -> bool {
        self.args.iter().any(|arg| matches!(arg, Arg::Request))
    }

    pub(super) fn needs_query(&self) -> bool {
        self.params.iter().any(|param| param.source == Source::Query)
    }
}
