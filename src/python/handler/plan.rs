//! What a handler needs, as `ziggurat.params` found it out.

use std::sync::Arc;

use http::HeaderName;
use serde::Deserialize;

use super::param::Param;
use super::scalar::Kind;
use crate::ConfigError;
use crate::python::form::{self, Limits};
use crate::service::{ErrorFormat, PathTemplate, Requirement};

/// The plan as Python writes it.
#[derive(Debug, Deserialize)]
pub(in crate::python) struct Plan {
    pub(in crate::python) name: String,
    pub(in crate::python) location: String,
    #[serde(rename = "async")]
    pub(super) is_async: bool,
    pub(super) mode: Mode,
    pub(super) args: Vec<Arg>,
    pub(super) keywords: Vec<String>,
    pub(super) params: Vec<Param>,
    pub(super) models: Vec<ModelPlan>,
    /// Places of which a model knows all there may be, with the names of that.
    pub(super) forbids: Vec<(Source, Vec<String>)>,
    pub(super) body: Option<BodyPlan>,
    /// Where it reads a form, or may.
    #[serde(default)]
    pub(super) form: Option<FormPlan>,
    #[serde(skip)]
    pub(super) reads_form: bool,
    /// The most bytes of a body; none leaves it to the layers.
    #[serde(default)]
    pub(in crate::python) max_body: Option<usize>,
    pub(super) status: u16,
    pub(in crate::python) auth: Option<Vec<Requirement>>,
    /// Whether that asks who calls for no other reason than that Claims are taken, which something that stands in may not do.
    pub(in crate::python) asks_for_claims: bool,
    /// Whether it takes the Claims of a caller who is known.
    pub(in crate::python) takes_claims: bool,
    /// Its handlers of exceptions, among the app's.
    #[serde(default)]
    pub(in crate::python) catch: Option<usize>,
    /// What makes JSON of what it returns, among the plan's objects; none leaves it to our own encoder.
    #[serde(default)]
    pub(super) write: Option<usize>,
    /// Of a handler that yields.
    #[serde(default)]
    pub(super) stream: Option<StreamPlan>,
    errors: String,
    /// How clients are told what was wrong.
    #[serde(skip)]
    pub(in crate::python) format: ErrorFormat,
    /// Whether it speaks on a WebSocket instead of giving an answer.
    #[serde(skip)]
    pub(super) is_websocket: bool,
    #[serde(skip)]
    pub(super) looks: Looks,
}

/// What of a request is looked at, found out once.
#[derive(Debug, Default)]
pub(super) struct Looks {
    pub(super) at_query: bool,
    pub(super) at_cookies: bool,
    at_all: bool,
    at_claims: bool,
}

/// How the function that is called hands over the answer.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// It gives it.
    Call,
    /// It gives it, and is given a [`Run`](super::run::Run) to run functions on threads.
    Run,
    /// It tells the [`Run`](super::run::Run), and returns when it has cleaned up.
    Answer,
    /// It yields it, and cleans up when it is gone on with.
    Generator,
}

/// What stands at one place of the call.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Arg {
    Request,
    WebSocket,
    /// Who calls.
    Claims,
    /// All of it.
    Body,
    /// What the handler says beside what it returns.
    Response,
    /// What it wants to run behind its answer.
    Background,
    /// A member of it.
    Field(usize),
    Param(usize),
    /// Made of several of those.
    Model(usize),
    /// An object of the plan.
    Object(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    Path,
    Query,
    Header,
    Cookie,
    Form,
}

/// A model of parameters.
#[derive(Debug, Deserialize)]
pub(super) struct ModelPlan {
    pub(super) source: Source,
    /// What the model calls each field, and the place of its parameter.
    pub(super) fields: Vec<(String, usize)>,
    /// Index among the plan's objects of what makes it of a dict.
    pub(super) make: usize,
}

/// How what a handler yields is sent.
#[derive(Debug, Deserialize)]
pub(super) struct StreamPlan {
    /// As `Form::new` knows it.
    pub(super) form: String,
    pub(super) media_type: String,
}

/// Index of a default among the plan's objects, and whether it is what makes one.
pub(super) type BodyDefault = (usize, bool);

#[derive(Debug, Deserialize)]
pub(super) struct BodyPlan {
    /// Index among the plan's objects of what reads the bytes; none where they are taken as they come.
    pub(super) decode: Option<usize>,
    pub(super) decoder: Decoder,
    pub(super) media_types: Vec<String>,
    pub(super) default: Option<BodyDefault>,
    /// The members of it that are wanted, each with its default.
    pub(super) fields: Option<Vec<(String, Option<BodyDefault>)>>,
    pub(super) required: bool,
}

/// How a form is read.
#[derive(Debug, Deserialize)]
pub(super) struct FormPlan {
    #[serde(deserialize_with = "form::shared")]
    pub(super) limits: Arc<Limits>,
    /// Names of files that are wanted as bytes.
    #[serde(skip)]
    pub(super) as_bytes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decoder {
    Pydantic,
    MsgSpec,
    Bytes,
    Str,
}

impl Plan {
    /// Reads a plan for a handler at `path`.
    ///
    /// # Errors
    /// When the path is not a template, or the plan does not fit it.
    pub(in crate::python) fn parse(json: &str, path: &str) -> Result<Self, ConfigError> {
        let mut plan: Self = serde_json::from_str(json)
            .map_err(|error| ConfigError::new(format!("a handler's plan is broken: {error}")))?;
        plan.is_websocket = plan.args.iter().any(|arg| matches!(arg, Arg::WebSocket));
        let at = |error: ConfigError| error.at_if_known(&plan.location);
        plan.format = plan.errors.parse().map_err(at)?;
        let template = PathTemplate::parse(path).map_err(at)?;
        plan.reads_form = plan.params.iter().any(|param| param.source == Source::Form);
        for param in &mut plan.params {
            param.compile().map_err(at)?;
            match param.source {
                Source::Path => {
                    let position = template.names().iter().position(|name| **name == *param.alias);
                    param.position = position.ok_or_else(|| {
                        at(ConfigError::new(format!("the path {path} has no parameter {:?}", param.alias)))
                    })?;
                }
                Source::Header => {
                    let name = HeaderName::from_bytes(param.alias.as_bytes());
                    param.header =
                        Some(name.map_err(|_| {
                            at(ConfigError::new(format!("{:?} is not the name of a header", param.alias)))
                        })?);
                }
                Source::Form => {
                    if let (Kind::Bytes, Some(form)) = (param.kind(), &mut plan.form) {
                        form.as_bytes.push(param.alias.clone());
                    }
                }
                Source::Query | Source::Cookie => {}
            }
        }
        plan.looks = plan.look();
        Ok(plan)
    }

    fn look(&self) -> Looks {
        let reads = |source: Source| {
            let read = self.params.iter().map(|param| param.source);
            read.chain(self.forbids.iter().map(|(forbids, _)| *forbids)).any(|own| own == source)
        };
        Looks {
            at_query: reads(Source::Query),
            at_cookies: reads(Source::Cookie),
            at_all: self.args.iter().any(|arg| matches!(arg, Arg::Request)),
            at_claims: self.args.iter().any(|arg| matches!(arg, Arg::Claims)),
        }
    }

    pub(super) fn needs_request(&self) -> bool {
        self.looks.at_all
    }

    /// Whether the handler reads the body by itself. One that is no coroutine cannot await it, and finds it read.
    pub(super) fn leaves_body(&self) -> bool {
        self.needs_request() && self.is_async && self.body.is_none() && !self.reads_form
    }

    pub(super) fn needs_claims(&self) -> bool {
        self.looks.at_claims
    }
}
