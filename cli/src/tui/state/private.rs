//! Something secret that is typed or shown over everything else, one question at a time: another password, another recovery key.

use std::fmt;

use zeroize::Zeroizing;

/// A text that no screen, log or test shows by accident, and that is wiped when it is let go.
#[derive(Default)]
pub struct Hidden(Zeroizing<String>);

impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hidden(***)")
    }
}

impl Clone for Hidden {
    /// For events, which tests keep; the copy is wiped as well.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl From<Zeroizing<String>> for Hidden {
    fn from(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl Hidden {
    /// What it says.
    #[must_use]
    pub fn show(&self) -> &str {
        &self.0
    }

    /// The text to be changed.
    pub fn change(&mut self) -> &mut Zeroizing<String> {
        &mut self.0
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where in it somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The password until now is typed.
    OldPassword,
    /// The one from now on.
    NewPassword,
    /// The same again.
    PasswordAgain,
    /// The password is being changed.
    ChangingPassword,
    /// The recovery key in force is typed.
    OldKey,
    /// A new one is being made.
    MakingKey,
    /// It is shown.
    NewKey,
    /// Two groups of it are typed back.
    ConfirmKey,
    /// It is being put in force.
    ReplacingKey,
}

/// What is under way.
#[derive(Debug)]
pub struct Private {
    /// Where somebody is.
    pub step: Step,
    /// What is being typed.
    pub typed: Hidden,
    /// What was until now.
    pub old: Hidden,
    /// What is from now on.
    pub new: Hidden,
    /// Which two groups of the new recovery key are typed back, counted from 0.
    pub asked: [usize; 2],
    /// What was wrong with the last answer.
    pub trouble: Option<String>,
}

impl Private {
    /// The beginning of what begins with `step`.
    #[must_use]
    pub fn new(step: Step) -> Self {
        Self {
            step,
            typed: Hidden::default(),
            old: Hidden::default(),
            new: Hidden::default(),
            asked: [0, 1],
            trouble: None,
        }
    }

    /// What it is about.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self.step {
            Step::OldPassword | Step::NewPassword | Step::PasswordAgain => "Change the password",
            Step::ChangingPassword | Step::MakingKey | Step::ReplacingKey => "One moment",
            Step::OldKey | Step::NewKey => "A new recovery key",
            Step::ConfirmKey => "Did you write it down?",
        }
    }

    /// What is asked, and what has to be known first.
    #[must_use]
    pub fn said(&self) -> String {
        match self.step {
            Step::OldPassword => "Your password until now:".to_owned(),
            Step::NewPassword => {
                "The new one. All your other sessions end with it, and have to log in again.".to_owned()
            }
            Step::PasswordAgain => "The new one again:".to_owned(),
            Step::ChangingPassword => "The server is told.".to_owned(),
            Step::OldKey => "It takes the place of the recovery key in force, which opens nothing any more from then on. Type or paste the one in force:".to_owned(),
            Step::MakingKey => "A key is being made.".to_owned(),
            Step::NewKey => "Write it down now: it is shown this once. It is in force when two groups of it were typed back; until then the one before stays.".to_owned(),
            Step::ConfirmKey => {
                let [one, other] = self.asked.map(|place| place.saturating_add(1));
                format!("Type groups {one} and {other} of it, with a space between them.")
            }
            Step::ReplacingKey => "The new key is being put in force.".to_owned(),
        }
    }

    /// Which keys there are.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self.step {
            Step::NewKey => "Enter: it is written down   Esc leaves all as it was",
            Step::ConfirmKey => "Enter goes on   Esc shows the key again",
            _ if self.is_busy() => "Ctrl+Q leaves",
            _ => "Enter goes on   Esc leaves all as it was",
        }
    }

    /// Whether nothing can be answered now.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self.step, Step::ChangingPassword | Step::MakingKey | Step::ReplacingKey)
    }

    /// Whether something is typed that is not shown.
    #[must_use]
    pub const fn hides(&self) -> bool {
        matches!(
            self.step,
            Step::OldPassword | Step::NewPassword | Step::PasswordAgain | Step::OldKey
        )
    }
}
