"""Does metadata help? The gain of a multimodal model beside its controls."""
