from learner_jax.config import Config
def get_config():
    return Config()
