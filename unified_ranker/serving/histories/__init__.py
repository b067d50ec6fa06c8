"""What users did, kept so that nothing acknowledged is lost."""
