//! What a user can get wrong: a clear answer each, and no harm to anything else.
