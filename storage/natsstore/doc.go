package natsstore
