"""The Starlette application: routes, authentication, and the shapes of requests."""
