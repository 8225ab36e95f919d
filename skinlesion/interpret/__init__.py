"""What a trained model looks at: its answers with inputs hidden or exchanged."""
