"""What all measurements share: settings, processes, inputs, results, and facts about the machine."""
