//! What is done at start-up about a store that differs from the models of the app.

use std::str::FromStr;
use std::sync::Arc;

use crate::ConfigError;
use crate::crud::store::{AnyStore, Safety, Step, StepKind, plan};
use crate::crud::{OpenError, Schema, Store};

/// Whether the store is brought in line with the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Migrate {
    /// Where nothing is lost by it.
    #[default]
    Auto,
    /// Only a store that holds nothing yet.
    Never,
}

impl FromStr for Migrate {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        ConfigError::choose("migrate", text, &[("auto", Self::Auto), ("never", Self::Never)])
    }
}

/// How the command line names the app, where that is known.
#[derive(Debug, Clone)]
pub(super) struct Target(pub(super) Option<String>);

impl Target {
    fn command(&self, command: &str) -> String {
        format!("`ziggurat db {command} {}`", self.0.as_deref().unwrap_or("module:app"))
    }
}

/// Refuses a store that differs from the models, unless it holds nothing yet.
pub(super) async fn refuse_differences(
    store: &AnyStore,
    schemas: &[Arc<Schema>],
    target: &Target,
) -> Result<(), OpenError> {
    let steps = plan(store, schemas).await?;
    let is_made = |step: &Step| matches!(step.kind, StepKind::NewStore | StepKind::NewCollection);
    let is_new = steps.iter().any(|step| step.kind == StepKind::NewStore) && steps.iter().all(is_made);
    if steps.is_empty() || is_new {
        return Ok(());
    }
    let told: Vec<_> = steps.iter().map(|step| format!("  {step}\n")).collect();
    let what = format!(
        "the store {store} differs from the models, and migrate=\"never\" leaves it as it is:\n{}so the app is not built",
        told.concat()
    );
    let apply = target.command("apply");
    let cure = if steps.iter().any(|step| step.safety == Safety::Conflict) {
        format!("clear what is in the way, which {} shows, and run {apply}", target.command("plan"))
    } else {
        format!("run {apply}")
    };
    Err(ConfigError::new(what).cure(cure).into())
}

/// Adds to a refusal how to see all that the store differs in.
pub(super) async fn explained(
    error: ConfigError,
    store: &AnyStore,
    schema: &Arc<Schema>,
    target: &Target,
) -> ConfigError {
    let Ok(steps) = store.plan(Arc::clone(schema)).await else { return error };
    let safety = steps.iter().map(|step| step.safety).max();
    let plan = target.command("plan");
    match safety {
        Some(Safety::Conflict) => error.or(format!("{plan} shows all that differs")),
        Some(Safety::OnRequest) => {
            error.or(format!("{} does it, and {plan} shows all that differs", target.command("apply")))
        }
        // It is about something else.
        Some(Safety::Safe) | None => error,
    }
}
